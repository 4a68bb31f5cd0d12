# SPDX-License-Identifier: BSD-2-Clause
#
# The same for perl: hashes, arrays and strings.
use strict;
use warnings;
use POSIX ();
my %table = map { $_ => [map { $_ * 7 } 1 .. $_ % 23] } 1 .. 2003;
my $text = join ',', map { "$_:@{$table{$_}}" } sort { $a <=> $b } keys %table;
POSIX::access('/@checkpoint', 0);
syswrite STDOUT, "pass\n";
my $now = join ',', map { "$_:@{$table{$_}}" } sort { $a <=> $b } keys %table;
$now eq $text or die "the table is not as it was\n";
delete $table{$_ * 3} for 1 .. 667;
$table{$_} = 'x' x ($_ % 9973) for 3001 .. 4001;
$text = reverse $text x 3;
POSIX::access('/@rollback', 0);
syswrite STDOUT, "end\n";
keys %table == 2003 - 667 + 1001 or die "the table is wrong\n";
print "perl: ok\n";

# SPDX-License-Identifier: BSD-2-Clause
# Goes back by itself, from Perl: run it with "tracer perl rollback.pl". See docs/protocol.md.
use strict;
use warnings;
use POSIX ();

my $folder = $ENV{TRACER_CONTROL_DIR};
$| = 1;

# Asks for a checkpoint or a rollback. Returns which of them has brought us here.
sub ask {
	my $request = "$folder/ready_to_$_[0]";
	open(my $file, '>', $request) or die "$request: $!";
	close $file;
	while (1) {
		my $is_asked = lstat $request;
		for my $answer ('rollback', 'checkpoint') {
			next unless POSIX::access("$folder/${answer}_complete", POSIX::F_OK());
			unlink "$folder/${answer}_complete";
			unlink $request if $answer eq 'checkpoint';
			return $answer;
		}
		die "the tracer could not do it\n" unless $is_asked;
	}
}

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

my @numbers = (0 .. 999);
if (ask('checkpoint') eq 'checkpoint') {
	@numbers = map { $_ * $_ } @numbers;
	print 'try ', sum(@numbers), "\n";
	ask('rollback');
}
print 'back ', sum(@numbers), "\n";

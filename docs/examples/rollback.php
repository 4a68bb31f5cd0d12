<?php
// SPDX-License-Identifier: BSD-2-Clause
// Goes back by itself, from PHP: run it with "tracer php rollback.php". See docs/protocol.md.
$folder = getenv('TRACER_CONTROL_DIR');

// Asks for a checkpoint or a rollback. Returns which of them has brought us here.
function ask(string $what): string
{
	global $folder;
	$request = "$folder/ready_to_$what";
	fclose(fopen($request, 'w'));
	for (;;) {
		clearstatcache();
		$is_asked = file_exists($request);
		foreach (['rollback', 'checkpoint'] as $answer) {
			if (!is_readable("$folder/{$answer}_complete"))
				continue;
			unlink("$folder/{$answer}_complete");
			if ($answer == 'checkpoint')
				unlink($request);
			return $answer;
		}
		if (!$is_asked)
			throw new Exception('the tracer could not do it');
	}
}

$numbers = range(0, 999);
if (ask('checkpoint') == 'checkpoint') {
	$numbers = array_map(fn($n) => $n * $n, $numbers);
	echo 'try ', array_sum($numbers), "\n";
	ask('rollback');
}
echo 'back ', array_sum($numbers), "\n";

// SPDX-License-Identifier: BSD-2-Clause
// Goes back by itself, from JavaScript: run it with "tracer node rollback.js". See docs/protocol.md.
const fs = require('fs');
const folder = process.env.TRACER_CONTROL_DIR;

function exists(path) {
	try { fs.accessSync(path); return true; } catch { return false; }
}

// Asks for a checkpoint or a rollback. Returns which of them has brought us here.
function ask(what) {
	const request = `${folder}/ready_to_${what}`;
	fs.closeSync(fs.openSync(request, 'w'));
	for (;;) {
		const isAsked = exists(request);
		for (const answer of ['rollback', 'checkpoint']) {
			if (!exists(`${folder}/${answer}_complete`))
				continue;
			fs.unlinkSync(`${folder}/${answer}_complete`);
			if (answer === 'checkpoint')
				fs.unlinkSync(request);
			return answer;
		}
		if (!isAsked)
			throw new Error('the tracer could not do it');
	}
}

const sum = (list) => list.reduce((a, b) => a + b, 0);
let numbers = [...Array(1000).keys()];
if (ask('checkpoint') === 'checkpoint') {
	numbers = numbers.map((n) => n * n);
	fs.writeSync(1, `try ${sum(numbers)}\n`);
	ask('rollback');
}
fs.writeSync(1, `back ${sum(numbers)}\n`);

// SPDX-License-Identifier: BSD-2-Clause
// Goes back by itself, from Java: run it with "tracer java Rollback.java". See docs/protocol.md.
import java.io.*;
import java.util.stream.*;

public class Rollback {
	static final String FOLDER = System.getenv("TRACER_CONTROL_DIR");

	// Asks for a checkpoint or a rollback. Returns which of them has brought us here.
	static String ask(String what) throws IOException {
		File request = new File(FOLDER + "/ready_to_" + what);
		new FileOutputStream(request).close();
		while (true) {
			boolean isAsked = request.exists();
			for (String answer : new String[] {"rollback", "checkpoint"}) {
				File complete = new File(FOLDER + "/" + answer + "_complete");
				if (!complete.canRead()) // access(2); exists() would be no poll
					continue;
				complete.delete();
				if (answer.equals("checkpoint"))
					request.delete();
				return answer;
			}
			if (!isAsked)
				throw new IOException("the tracer could not do it");
		}
	}

	public static void main(String[] arguments) throws IOException {
		long[] numbers = LongStream.range(0, 1000).toArray();
		if (ask("checkpoint").equals("checkpoint")) {
			for (int i = 0; i < numbers.length; i++)
				numbers[i] *= numbers[i];
			System.out.println("try " + LongStream.of(numbers).sum());
			ask("rollback");
		}
		System.out.println("back " + LongStream.of(numbers).sum());
	}
}

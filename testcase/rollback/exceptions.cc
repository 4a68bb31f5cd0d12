// SPDX-License-Identifier: BSD-2-Clause
//
// A C++ program goes back: out of a catch block, with containers, and with exceptions afterwards.
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/mman.h>

#include "rollback/rollback.h"

namespace
{
struct Kept { // in shared memory
	int round, failed;
};

int destroyed;

struct Counted {
	~Counted()
	{
		destroyed++;
	}
};

void work(std::map<std::string, std::string> &map, int round)
{
	for (int i = 0; i < 1000; i++)
		map[std::to_string(i * (round + 3))] = std::string(100, static_cast<char>('a' + i % 26));
	throw std::runtime_error("round " + std::to_string(round));
}
} // namespace

int main()
{
	const int rounds = 23;
	auto *kept = static_cast<Kept *>(
		mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	std::map<std::string, std::string> map{{"one", "1"}, {"two", "2"}};
	struct rollback *rollback = nullptr;
	int again;

	if (kept == MAP_FAILED)
		return 1;
	again = rollback__take(&rollback, nullptr);
	kept->failed |= again != (kept->round > 0) || map.size() != 2 || map["two"] != "2" ||
			destroyed != 0;
	if (kept->round < rounds) {
		auto counted = std::make_unique<Counted>();
		try {
			work(map, kept->round);
		} catch (const std::runtime_error &error) {
			kept->failed |= error.what() != "round " + std::to_string(kept->round);
			counted.reset();
			kept->failed |= destroyed != 1;
			kept->round++;
			rollback__back(rollback);
		}
	}
	rollback__free(rollback);
	std::printf("1..1\n%sok 1 - %d rollbacks out of a catch block\n", kept->failed ? "not " : "",
		    kept->round);
	return kept->failed;
}

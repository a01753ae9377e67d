// What further sessions of one model cost: the time until each could run, and the memory that all of them take beside
// the packed weights and one arena each.
//
//   session_cost MODEL.rne [SESSIONS]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "resnet_engine/model.hpp"
#include "resnet_engine/session.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double resident_mib() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void measure(const std::string& path, int count) {
  const auto model = resnet::Model::load(path);
  const auto size = model.input_size();
  const std::vector<float> input(static_cast<std::size_t>(size.height * size.width * size.channels), 0.5f);
  std::vector<float> output(static_cast<std::size_t>(model.output_size()));
  std::vector<std::unique_ptr<resnet::Session>> sessions;
  std::vector<double> milliseconds;
  double resident_first = 0;
  for (int i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    sessions.push_back(std::make_unique<resnet::Session>(model, resnet::SessionOptions{.device = "cpu"}));
    sessions.back()->prepare(1, size.height, size.width);
    milliseconds.push_back(milliseconds_since(begin));
    sessions.back()->run({input.data(), 1, size.height, size.width, size.channels},
                         {output.data(), 1, 1, 1, model.output_size()});  // touches all of its arena
    if (i == 0) resident_first = resident_mib();
  }
  const double each = (resident_mib() - resident_first) / (count - 1);
  const auto memory = nlohmann::json::parse(sessions.back()->describe_json()).at("memory");
  const double mib = 1 << 20, weights = memory.at("weight_bytes").get<double>() / mib;
  const double arena = memory.at("arena_bytes").get<double>() / mib;
  std::sort(milliseconds.begin() + 1, milliseconds.end());
  std::printf("first session    %8.2f ms (packs the weights)\n", milliseconds[0]);
  std::printf("further sessions %8.2f ms median, %.2f fastest, %.2f slowest; weights packed by all: %d of %d buffers\n",
              milliseconds[milliseconds.size() / 2], milliseconds[1], milliseconds.back(),
              memory.at("weight_packs").get<int>(), memory.at("weight_buffers").get<int>());
  std::printf("resident with one session %.1f MiB (weights %.1f, arena %.2f), each further one %.2f MiB\n",
              resident_first, weights, arena, each);
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 2 ? std::atoi(argv[2]) : 20;
  if (argc < 2 || count < 2) {
    std::fprintf(stderr, "usage: session_cost MODEL.rne [SESSIONS, at least 2]\n");
    return 2;
  }
  try {
    measure(argv[1], count);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

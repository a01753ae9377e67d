#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "kernels/environment.hpp"
#include "kernels/primitives/primitives.hpp"

namespace resnet::test {

Options& options() {
  static Options chosen = default_options();
  return chosen;
}

std::vector<const kernels::Kernel*> tested_kernels() {
  if (const kernels::Kernel* const kernel = kernels::find_kernel(options().kernel)) return {kernel};
  std::vector<const kernels::Kernel*> chosen;
  for (const kernels::Kernel* kernel : kernels::catalog()) {
    if (kernel->name.find(options().kernel) != std::string_view::npos) chosen.push_back(kernel);
  }
  return chosen;
}

namespace {

constexpr const char* usage =
    "  --schedules N   run every case under N schedules\n"
    "  --seed S        of data, schedules and random problems\n"
    "  --random N      random problems\n"
    "  --small, --reduced, --full   sizes of the networks' layers\n"
    "  --kernel TEXT   only the kernel of that name, else those whose name contains TEXT\n"
    "  --list-kernels  no tests: the names of the kernels\n"
    "  --record-primitives FILE   no tests: write what the building blocks do on this device\n";

[[noreturn]] void reject(const std::string& what) {
  std::cerr << what << '\n' << usage;
  std::exit(2);
}

int record_to(const std::string& path) {
  if (devices().empty()) {
    std::cerr << "no CUDA device\n";
    return 5;
  }
  try {
    const std::string recording = record_primitives();
    std::ofstream out(path);
    out << recording << '\n';
    if (!out.flush()) throw std::runtime_error("cannot write " + path);
    if (const Json* const error = parse_json(recording, "recording").find("error"))
      throw std::runtime_error(error->as_string());
  } catch (const std::exception& error) {
    std::cerr << "recording the building blocks: " << error.what() << '\n';
    return 1;
  }
  return 0;
}

/// Takes our options out of the command line; what is left is GoogleTest's.
void parse(int& argc, char** argv) {
  Options& o = options();
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) reject("a value is missing after " + std::string(name));
      return argv[++i];
    };
    const auto number = [&](unsigned long long least) {
      const std::string text = value();
      std::size_t used = 0;
      unsigned long long result = 0;
      try {
        result = std::stoull(text, &used);
      } catch (const std::exception&) {
      }
      if (used != text.size() || result < least) reject(text + " is no value for " + std::string(name));
      return result;
    };
    if (name == "--schedules") {
      o.schedules = static_cast<int>(number(1));
    } else if (name == "--seed") {
      o.seed = number(0);
    } else if (name == "--random") {
      o.random_problems = static_cast<int>(number(0));
    } else if (name == "--small") {
      o.sizes = Sizes::tiny;
    } else if (name == "--reduced") {
      o.sizes = Sizes::reduced;
    } else if (name == "--full") {
      o.sizes = Sizes::full;
    } else if (name == "--record-primitives") {
      std::exit(record_to(value()));
    } else if (name == "--list-kernels") {
      for (const kernels::Kernel* kernel : kernels::catalog()) std::cout << kernel->name << '\n';
      std::exit(0);
    } else if (name == "--kernel") {
      o.kernel = value();
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
}

const char* name_of(Sizes sizes) {
  return sizes == Sizes::tiny ? "small" : sizes == Sizes::reduced ? "reduced" : "full";
}

/// A fault of one kernel must not fail the tests behind it.
class Recovery : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Failed() || recover()) return;
    std::cerr << "the error stays with this process: the tests behind this one are skipped\n";
    GTEST_FLAG_SET(fail_fast, true);
  }
};

int run(int argc, char** argv) {
  parse(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new Recovery);  // which takes it over
  if (argc > 1) reject("unknown option " + std::string(argv[1]));
  if (devices().empty()) {
    std::cerr << "no CUDA device\n";
    return 5;
  }
  for (const DeviceInfo& device : devices())
    std::cout << "device " << device.index << ": " << device.name << ", sm_" << device.sm << '\n';
  const Options& o = options();
  std::cout << "seed " << o.seed << ", " << o.schedules << " schedule(s), " << name_of(o.sizes) << " sizes, "
            << o.random_problems << " random problems, " << tested_kernels().size() << " kernels"
            << (has_access_hooks() ? ", access hooks" : "") << std::endl;
  return RUN_ALL_TESTS();
}

}  // namespace

}  // namespace resnet::test

int main(int argc, char** argv) { return resnet::test::run(argc, argv); }

// Random damage: whatever the bytes are, the readers answer with tensors or an Error. Under AddressSanitizer and UBSan
// this is also a search for memory errors.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "fuzz/import_fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/mutate.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

const std::string folder = RESNET_SOURCE_DIR "/tests/golden/pickle/";

std::string pickle_of(const std::string& name) {
  const std::string file = read_text(folder + name + ".pth");
  const std::size_t begin = file.find("\x80\x02");
  return file.substr(begin, file.find("PK", begin) - begin);
}

/// Runs `target` on damaged copies and counts how many were still accepted.
template <class Target>
int survivors(const std::vector<std::string>& seeds, int count, Target target) {
  std::mt19937 random(12345);
  int accepted = 0;
  for (int i = 0; i < count; ++i) {
    std::string bytes = seeds[static_cast<std::size_t>(i) % seeds.size()];
    mutate(bytes, random);
    accepted += target(bytes) ? 1 : 0;
  }
  return accepted;
}

TEST(Mutations, OfFilesGiveTensorsOrAnError) {
  std::vector<std::string> seeds;
  for (const char* name : {"ok_state_dict", "ok_metadata", "ok_wrapped", "ok_optimizer", "ok_types", "ok_shared"}) {
    seeds.push_back(read_text(folder + name + ".pth"));
  }
  const int accepted =
      survivors(seeds, 5000, [](const std::string& bytes) { return fuzz::read_file(to_bytes(bytes)); });
  EXPECT_LT(accepted, 2500);  // the CRC catches most of it
}

TEST(Mutations, OfPicklesGiveTensorsOrAnError) {
  // Behind the CRC, where a hostile file would be.
  std::vector<std::string> seeds;
  for (const char* name :
       {"ok_state_dict", "ok_metadata", "ok_wrapped", "ok_optimizer", "ok_parameter", "ok_numpy_scalar"}) {
    seeds.push_back(pickle_of(name));
    ASSERT_TRUE(fuzz::read_pickle_bytes(to_bytes(seeds.back()))) << name;
  }
  const int accepted =
      survivors(seeds, 20'000, [](const std::string& bytes) { return fuzz::read_pickle_bytes(to_bytes(bytes)); });
  EXPECT_GT(accepted, 100);  // otherwise the damage is too coarse to test anything
}

}  // namespace
}  // namespace resnet::convert

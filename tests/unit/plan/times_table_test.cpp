#include "plan/times_table.hpp"

#include <gtest/gtest.h>

#include "support/scratch_folder.hpp"

namespace resnet::test {
/// tests/unit/plan/times/*.json, compiled in as kernels/tuned/*.json are.
std::span<const EmbeddedTimes> embedded_times();
}  // namespace resnet::test

namespace resnet {
namespace {

constexpr const char* problem = "relu($0): 1x4x4x8 f32 -> 1x4x4x8 f32, fp32";

DeviceInfo sm(int architecture) {
  DeviceInfo device;
  device.kind = DeviceKind::cuda;
  device.sm = architecture;
  return device;
}

TimesTable some_table(const std::string& architecture, double us) {
  TimesTable table;
  table.architecture = architecture;
  table.origins = {{"a \"GPU\"", "driver", "0.1", "resnet_bench --tune x"}};
  table.problems["p"]["one"] = {us, us / 2, us * 2, 20};
  return table;
}

TEST(TimesTable, ReadsWhatItWrote) {
  TimesTable table = some_table("sm_90", 3.25);
  table.problems["q"];
  const std::string text = table.to_json();
  const TimesTable read = parse_times_table(text, "t.json");
  EXPECT_EQ(read.to_json(), text);
  EXPECT_EQ(read.problems.at("p").at("one").median_us, 3.25);
  EXPECT_EQ(read.problems.at("p").at("one").runs, 20);
  EXPECT_EQ(read.origins.at(0).device, "a \"GPU\"");
}

TEST(TimesTable, NamesFileAndKeyOfWhatIsDamaged) {
  const std::string whole = some_table("sm_90", 4).to_json();
  const auto edited = [&](const std::string& find, const std::string& replace) {
    std::string text = whole;
    EXPECT_NE(text.find(find), std::string::npos) << find;
    return text.replace(text.find(find), find.size(), replace);
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "t.json"},
      {"[]", "t.json: the table"},
      {whole.substr(0, whole.size() / 2), "t.json"},
      {edited("\"format\": 1", "\"format\": 2"), "t.json: format"},
      {edited("\"format\": 1", "\"format\": 1, \"format\": 1"), "t.json"},
      {edited("\"format\": 1", "\"format\": 1, \"more\": 1"), "\"more\" is unknown"},
      {edited("\"architecture\": \"sm_90\"", "\"architecture\": 90"), "t.json: the table.architecture"},
      {edited("\"runs\": 20", "\"runs\": 0"), "t.json: problems.p.one.runs"},
      {edited("\"runs\": 20", "\"runs\": 1.5"), "t.json: problems.p.one.runs"},
      {edited("\"runs\": 20", "\"ran\": 20"), "\"runs\" is missing"},
      {edited("\"median_us\": 4.0", "\"median_us\": -4"), "t.json: problems.p.one.median_us"},
      {edited("\"median_us\": 4.0", "\"median_us\": 1e300"), "t.json: problems.p.one.median_us"},
      {edited("\"median_us\": 4.0", "\"median_us\": \"4\""), "t.json: problems.p.one.median_us"},
      {edited("\"median_us\": 4.0", "\"median_us\": 9"), "min_us <= median_us <= max_us"},
      {edited("\"software\"", "\"hardware\""), "t.json: provenance"},
      {edited("\"resnet_bench --tune x\"", '"' + std::string(5000, 'x') + '"'), "provenance.command"},
      {std::string((16 << 20) + 1, ' '), "larger than 16 MiB"},
  };
  for (const auto& [text, message] : cases) {
    try {
      parse_times_table(text, "t.json");
      ADD_FAILURE() << "accepted: " << text.substr(0, 200);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
      EXPECT_TRUE(error.code() == ErrorCode::bad_header || error.code() == ErrorCode::limit_exceeded) << error.what();
    }
  }
}

TEST(TimesTable, LetsNewerTimesReplaceOlderOnes) {
  TimesTable table = some_table("sm_90", 4);
  table.problems["p"]["two"] = {7, 7, 7, 1};
  table.merge(some_table("sm_90", 1), "t.json");
  EXPECT_EQ(table.problems.at("p").at("one").median_us, 1);
  EXPECT_EQ(table.problems.at("p").at("two").median_us, 7);
  EXPECT_EQ(table.origins.size(), 2u);
  for (int i = 0; i < 100; ++i) table.merge(some_table("sm_90", 1), "t.json");
  EXPECT_NO_THROW(parse_times_table(table.to_json(), "grown")) << "a file that only grows";
  EXPECT_THROW(table.merge(some_table("sm_80", 1), "t.json"), Error);
}

TEST(TimesTable, ComesWithTheLibraryAndFromAFile) {
  const test::ScratchFolder folder;
  const auto embedded = test::embedded_times();
  ASSERT_EQ(embedded.size(), 1u);
  EXPECT_EQ(measured_times(sm(80), embedded, ""), nullptr);
  EXPECT_EQ(measured_times(sm(90), embedded, "")->at({"slow", problem}), 1.5);

  TimesTable own = some_table("sm_90", 4);
  own.problems[problem]["slow"] = {9, 9, 9, 1};
  test::write_text(folder / "own.json", own.to_json());
  const auto times = measured_times(sm(90), embedded, folder / "own.json");
  EXPECT_EQ(times->at({"one", "p"}), 4);
  EXPECT_EQ(times->at({"slow", problem}), 9) << "the caller's file counts above the library's";

  for (const auto& [file, device, code] :
       {std::tuple{"own.json", 80, ErrorCode::invalid_argument}, std::tuple{"none.json", 90, ErrorCode::io},
        std::tuple{".", 90, ErrorCode::io}}) {
    try {
      measured_times(sm(device), embedded, folder / file);
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(folder / file), std::string::npos) << error.what();
    }
  }
}

TEST(TimesTable, OfEveryArchitectureIsReadable) {
  for (const EmbeddedTimes& table : embedded_times()) {
    const std::string file = "kernels/tuned/" + std::string(table.architecture) + ".json";
    const TimesTable read = parse_times_table(table.text, file);
    EXPECT_EQ(read.architecture, table.architecture) << file;
    EXPECT_FALSE(read.origins.empty()) << file << " does not say how its times came about";
  }
}

}  // namespace
}  // namespace resnet

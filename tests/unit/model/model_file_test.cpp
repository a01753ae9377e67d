#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <chrono>
#include <filesystem>
#include <thread>

#include "golden/golden_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/write_bytes.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

std::vector<float> read(const ModelFile& model, std::string_view name) {
  const StoredTensor& tensor = model.tensor(name);
  std::vector<float> values(tensor.bytes / size_of(tensor.dtype), -77.0F);
  model.read_f32(tensor, values);
  return values;
}

void expect_io_error_at_once(const std::string& path, const std::string& reason) {
  const auto start = std::chrono::steady_clock::now();
  const Error error = error_of([&] { ModelFile::open(path); });
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
}

TEST(ModelFile, ReadsEveryElementTypeAsF32) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const GoldenModel golden(dtype);
    const auto model = ModelFile::from_memory(golden.file(), "memory");
    for (const GoldenModel::Tensor& tensor : golden.tensors()) EXPECT_EQ(read(*model, tensor.name), tensor.values);
  }
}

TEST(ModelFile, ReadsFromDiskWhatItReadsFromMemory) {
  const test::ScratchFolder directory;
  const GoldenModel golden(DType::bf16);
  test::write_bytes(directory / "a.rne", golden.file());
  const auto model = ModelFile::open(directory / "a.rne");
  EXPECT_EQ(model->path(), directory / "a.rne");
  for (const GoldenModel::Tensor& tensor : golden.tensors()) EXPECT_EQ(read(*model, tensor.name), tensor.values);
}

TEST(ModelFile, RefusesWhatIsNoRegularFileWithoutWaiting) {
  const test::ScratchFolder directory;
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  expect_io_error_at_once(directory / "fifo", "no regular file");
  expect_io_error_at_once(directory.path(), "is a directory");
  expect_io_error_at_once("/dev/zero", "no regular file");
  expect_io_error_at_once(directory / "missing.rne", "No such file");
}

TEST(ModelFile, NamesAMissingTensor) {
  const auto model = ModelFile::from_memory(GoldenModel(DType::f32).file(), "a.rne");
  const Error error = error_of([&] { model->tensor("nothing"); });
  EXPECT_EQ(error.code(), ErrorCode::missing_tensor);
  EXPECT_NE(std::string(error.what()).find("a.rne: tensor 'nothing'"), std::string::npos) << error.what();
}

TEST(ModelFile, RefusesNanAndInfinityAtEveryPlaceOfEveryTensor) {
  struct Case {
    DType dtype;
    std::vector<std::uint32_t> bad;
  };
  const std::vector<Case> cases = {{DType::f32, {0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF}},
                                   {DType::f16, {0x7C00, 0xFC00, 0x7E00, 0x7C01, 0xFFFF}},
                                   {DType::bf16, {0x7F80, 0xFF80, 0x7FC0, 0x7F81, 0xFFFF}}};
  for (const Case& c : cases) {
    const GoldenModel original(c.dtype);
    for (const GoldenModel::Tensor& tensor : original.tensors()) {
      for (const std::size_t at : {std::size_t{0}, tensor.values.size() / 2, tensor.values.size() - 1}) {
        for (const std::uint32_t bits : c.bad) {
          GoldenModel golden(c.dtype);
          golden.set_bits(tensor.name, at, bits);
          const auto model = ModelFile::from_memory(golden.file(), "a.rne");
          const Error error = error_of([&] { read(*model, tensor.name); });
          EXPECT_EQ(error.code(), ErrorCode::nonfinite_weight) << error.what();
          const std::string text = "tensor '" + tensor.name + "': value " + std::to_string(at) + " of ";
          EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
        }
      }
    }
  }
}

TEST(ModelFile, FlushesDenormalWeightsAndKeepsDenormalVectors) {
  GoldenModel golden(DType::f32);
  golden.set_bits("conv1.weight", 5, 1);
  golden.set_bits("fc.weight", 0, 0x80000001);
  golden.set_bits("bn1.running_var", 1, 1);
  const auto model = ModelFile::from_memory(golden.file(), "a.rne");
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read(*model, "conv1.weight")[5]), 0u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read(*model, "fc.weight")[0]), 0x80000000u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read(*model, "bn1.running_var")[1]), 1u);
}

TEST(ModelFile, ReportsDamageAsDamageEvenWhereItMadeANan) {
  Bytes file = GoldenModel(DType::f32).file();
  for (std::size_t i = 1; i <= 4; ++i) file[file.size() - i] = std::byte{0xFF};
  const auto model = ModelFile::from_memory(file, "a.rne");
  const Error error = error_of([&] { read(*model, "fc.bias"); });
  EXPECT_EQ(error.code(), ErrorCode::checksum);
  EXPECT_NE(std::string(error.what()).find("a.rne: tensor 'fc.bias': CRC32C is "), std::string::npos) << error.what();
}

/// A model whose weights span several pieces.
std::string write_large(const test::ScratchFolder& directory) {
  const std::vector<float> weights(4 * 100'000, 0.5F);
  ModelToWrite model;
  model.layers = {{"input",
                   "input",
                   {},
                   {{"channels", std::int64_t{100'000}}, {"height", std::int64_t{1}}, {"width", std::int64_t{1}}},
                   {}},
                  {"fc", "dense", {"input"}, {}, {{"weight", "w"}}}};
  model.output = "fc";
  model.tensors = {{"w", DType::f32, {4, 100'000}, std::as_bytes(std::span(weights))}};
  const std::string path = directory / "large.rne";
  test::write_bytes(path, serialise(model));
  return path;
}

TEST(ModelFile, ReadsTensorsOfSeveralPiecesAndFindsABadValueInAnyOfThem) {
  const test::ScratchFolder directory;
  const std::string path = write_large(directory);
  EXPECT_EQ(read(*ModelFile::open(path), "w"), std::vector<float>(400'000, 0.5F));
}

TEST(ModelFile, ThatShrinksIsAnErrorAndNoSignal) {
  const test::ScratchFolder directory;
  const std::string path = write_large(directory);
  const auto model = ModelFile::open(path);
  std::filesystem::resize_file(path, 800'000);
  const Error error = error_of([&] { read(*model, "w"); });
  EXPECT_EQ(error.code(), ErrorCode::file_changed) << error.what();
  EXPECT_NE(std::string(error.what()).find("shrank"), std::string::npos) << error.what();
}

TEST(ModelFile, ThatGrowsOrIsWrittenToIsAnError) {
  const test::ScratchFolder directory;
  const std::string path = write_large(directory);
  const auto model = ModelFile::open(path);
  std::ofstream(path, std::ios::app) << 'x';
  EXPECT_EQ(error_of([&] { read(*model, "w"); }).code(), ErrorCode::file_changed);

  write_large(directory);
  const auto again = ModelFile::open(path);
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(error_of([&] { read(*again, "w"); }).code(), ErrorCode::file_changed);
}

TEST(ModelFile, ReplacedByARenameOrRemovedKeepsItsOldContent) {
  const test::ScratchFolder directory;
  const std::string path = write_large(directory);
  const auto model = ModelFile::open(path);
  test::write_bytes(directory / "new", GoldenModel(DType::f32).file());
  std::filesystem::rename(directory / "new", path);
  EXPECT_EQ(read(*model, "w"), std::vector<float>(400'000, 0.5F));
  std::filesystem::remove(path);
  EXPECT_EQ(read(*model, "w"), std::vector<float>(400'000, 0.5F));
}

TEST(ModelFile, OverwrittenAgainAndAgainWhileReadGivesTheContentOrAnError) {
  const test::ScratchFolder directory;
  const std::string path = write_large(directory);
  const Bytes bytes = from_text(test::read_text(path));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::size_t i = 0; !stop; ++i) {
      std::filesystem::resize_file(path, (i * 7919) % bytes.size());
      test::write_bytes(path, bytes);
    }
  });
  int complete = 0;
  for (int trial = 0; trial < 200; ++trial) {
    try {
      EXPECT_EQ(read(*ModelFile::open(path), "w"), std::vector<float>(400'000, 0.5F));
      ++complete;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::file_changed || error.code() == ErrorCode::truncated ||
                  error.code() == ErrorCode::checksum || error.code() == ErrorCode::bad_header)
          << error.what();
    }
  }
  stop = true;
  writer.join();
  EXPECT_LT(complete, 200) << "the writer never got in the way";
}

TEST(ModelFile, MayBeReadFromManyThreads) {
  const test::ScratchFolder directory;
  const auto model = ModelFile::open(write_large(directory));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(read(*model, "w"), std::vector<float>(400'000, 0.5F)); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace resnet::testing

#include "convert/materialise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/dtype.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
template <class T>
std::vector<T> values_of(const Materialised& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

SourceTensor view(TensorShape shape, std::vector<std::int64_t> strides, std::int64_t offset = 0,
                  SourceType type = SourceType::f32) {
  SourceTensor tensor;
  tensor.name = "w";
  tensor.type = type;
  tensor.shape = std::move(shape);
  tensor.strides = std::move(strides);
  tensor.offset = offset;
  return tensor;
}

TEST(Materialise, PutsTheInputChannelsOfAConvolutionLast) {
  constexpr std::int64_t K = 3, C = 2, R = 4, S = 5;
  std::vector<float> oihw(K * C * R * S);
  std::iota(oihw.begin(), oihw.end(), 0.f);
  const auto out = materialise(view({K, C, R, S}, {C * R * S, R * S, S, 1}), bytes_of(oihw), WeightOrder::oihw_to_krsc);
  EXPECT_EQ(out.shape, (TensorShape{K, R, S, C}));
  const auto krsc = values_of<float>(out);
  for (std::int64_t k = 0; k < K; ++k)
    for (std::int64_t r = 0; r < R; ++r)
      for (std::int64_t s = 0; s < S; ++s)
        for (std::int64_t c = 0; c < C; ++c)
          ASSERT_EQ(krsc[static_cast<std::size_t>(((k * R + r) * S + s) * C + c)],
                    oihw[static_cast<std::size_t>(((k * C + c) * R + r) * S + s)]);
}

TEST(Materialise, HonoursStridesAndOffset) {
  std::vector<float> storage(20);
  std::iota(storage.begin(), storage.end(), 0.f);
  const auto out = materialise(view({2, 3}, {1, 4}, 5), bytes_of(storage), WeightOrder::keep);  // a transposed slice
  EXPECT_EQ(values_of<float>(out), (std::vector<float>{5, 9, 13, 6, 10, 14}));
}

TEST(Materialise, CopiesScalarsAndEmptyTensors) {
  EXPECT_EQ(values_of<float>(materialise(view({}, {}, 1), bytes_of<float>({1, 2}), WeightOrder::keep)),
            (std::vector<float>{2}));
  EXPECT_TRUE(materialise(view({0, 3}, {3, 1}), {}, WeightOrder::keep).bytes.empty());
}

TEST(Materialise, RoundsDoublesAndKeepsHalves) {
  const auto doubles = materialise(view({2}, {1}, 0, SourceType::f64), bytes_of<double>({0.1, -2}), WeightOrder::keep);
  EXPECT_EQ(doubles.dtype, DType::f32);
  EXPECT_EQ(values_of<float>(doubles), (std::vector<float>{0.1f, -2}));
  const std::vector<std::uint16_t> bits = {0x3c00, 0x0001};
  const auto half = materialise(view({2}, {1}, 0, SourceType::f16), bytes_of(bits), WeightOrder::keep);
  EXPECT_EQ(half.dtype, DType::f16);
  EXPECT_EQ(values_of<std::uint16_t>(half), bits);
  EXPECT_EQ(materialise(view({2}, {1}, 0, SourceType::bf16), bytes_of(bits), WeightOrder::keep).dtype, DType::bf16);
}

TEST(Materialise, NamesTheFirstValueThatIsNotFinite) {
  std::vector<float> values(12, 1);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  const Error error = error_of([&] { materialise(view({3, 4}, {4, 1}), bytes_of(values), WeightOrder::keep); });
  EXPECT_EQ(error.code(), ErrorCode::nonfinite_weight);
  EXPECT_EQ(error.where(), "w");
  EXPECT_NE(error.message().find("[1, 3]"), std::string::npos) << error.message();
  for (const std::size_t at : {0u, 5u, 11u}) {
    std::vector<float> one(12, 1);
    one[at] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(error_of([&] {
                materialise(view({3, 4}, {4, 1}), bytes_of(one), WeightOrder::keep);
              }).code(),
              ErrorCode::nonfinite_weight);
  }
  const auto refuses = [](SourceType type, const std::vector<std::byte>& bytes) {
    return error_of([&] { materialise(view({1}, {1}, 0, type), bytes, WeightOrder::keep); }).code() ==
           ErrorCode::nonfinite_weight;
  };
  EXPECT_TRUE(refuses(SourceType::f64, bytes_of<double>({1e300})));  // finite as f64, infinite as f32
  EXPECT_TRUE(refuses(SourceType::f16, bytes_of<std::uint16_t>({0x7c00})));
  EXPECT_TRUE(refuses(SourceType::bf16, bytes_of<std::uint16_t>({0xff80})));
}

TEST(Materialise, RefusesIntegers) {
  for (const SourceType type : {SourceType::i64, SourceType::u8, SourceType::boolean, SourceType::other}) {
    for (const std::int64_t size : {0, 3}) {  // with elements, too: the type is what is wrong, not the view
      const Error error = error_of([&] { materialise(view({size}, {1}, 0, type), {}, WeightOrder::keep); });
      EXPECT_EQ(error.code(), ErrorCode::bad_dtype) << error.what();
    }
  }
}

TEST(Materialise, NamesATypeThatIsOnlyListed) {
  SourceTensor tensor = view({3}, {1}, 0, SourceType::other);
  tensor.name = "conv1.weight";
  tensor.key = "module.conv1.weight";
  tensor.other_type = "F8_E4M3";
  const Error error = error_of([&] { materialise(tensor, std::vector<std::byte>(3), WeightOrder::keep); });
  EXPECT_STREQ(
      error.what(),
      "module.conv1.weight: holds F8_E4M3, weights are F32, F16, BF16 or F64; convert a checkpoint that is not "
      "quantised");
}

TEST(Materialise, ChecksTheViewAgainstTheBytesThatWereRead) {
  EXPECT_EQ(error_of([&] {
              materialise(view({3}, {1}), bytes_of<float>({1, 2}), WeightOrder::keep);
            }).code(),
            ErrorCode::import_failed);
}

class CountingReader : public StorageReader {
 public:
  std::vector<std::byte> read(std::size_t storage) const override {
    ++reads;
    return bytes_of<float>({static_cast<float>(storage)});
  }
  mutable int reads = 0;
};

TEST(StorageCache, ReadsASharedStorageOnceAndForgetsItAfterwards) {
  SourceTensor a, b, c;
  a.storage = b.storage = 1;
  c.storage = 2;
  const SourceTensor* wanted[] = {&a, &c, &b};
  const CountingReader reader;
  StorageCache cache(reader, wanted);
  std::weak_ptr<const std::vector<std::byte>> watched = cache.take(a);
  EXPECT_FALSE(watched.expired());  // b still needs it
  EXPECT_EQ(*cache.take(c), bytes_of<float>({2}));
  EXPECT_EQ(*cache.take(b), bytes_of<float>({1}));
  EXPECT_EQ(reader.reads, 2);
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace resnet::convert

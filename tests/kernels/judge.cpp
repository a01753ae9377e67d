#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <variant>

#include "kernels/kernel_run.hpp"
#include "kernels/numbers.hpp"

namespace resnet::test {
namespace {

/// ||out - exact|| / ||round(exact) - exact||: 1 for one perfect rounding, at most 1.07 for fp32 sums in any order or
/// with truncation, at least 1.38 for every bug that was measured (16-bit sums, truncating or double stores ...).
constexpr double most_rounding_ratio = 1.2;
/// Of the result's norm: an fp32 sum's own error, which shows only where a handful of results round to themselves.
constexpr double fp32_sum_error = 1.0 / (1 << 20);
constexpr double most_fp32_error = 1e-5;

double most_matrix_unit_error(std::int64_t length) { return 1e-6 + 1.2e-8 * static_cast<double>(length); }

/// Most outputs of one value prove nothing, from so many outputs on.
constexpr std::size_t enough_outputs = 16;
constexpr double most_equal_outputs = 0.9;

std::string position(const Dims& dims, std::size_t element) {
  const auto i = static_cast<std::int64_t>(element);
  std::ostringstream text;
  text << "(n,p,q,k) = (" << i / (dims.h * dims.w * dims.c) << "," << i / (dims.w * dims.c) % dims.h << ","
       << i / dims.c % dims.w << "," << i % dims.c << ")";
  return text.str();
}

std::string element_text(const Dims& dims, std::size_t i, double expected, float got) {
  std::ostringstream text;
  text.precision(9);
  text << "at " << position(dims, i) << ": expected " << expected << ", got " << got;
  return text.str();
}

/// Bit equality up to the sign of zero.
std::string judge_equal(const OperandSizes& sizes, const std::vector<double>& exact, const std::vector<float>& got) {
  std::size_t wrong = 0, first = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const float expected = rounded(sizes.y_type, exact[i]);
    if (got[i] == expected || (std::isnan(got[i]) && std::isnan(expected))) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return {};
  const double expected = static_cast<double>(rounded(sizes.y_type, exact[first]));
  return std::to_string(wrong) + " of " + std::to_string(got.size()) + " elements, the first " +
         element_text(sizes.y_dims, first, expected, got[first]);
}

std::string judge_real(const OperandSizes& sizes, bool matrix_unit, std::int64_t length,
                       const std::vector<double>& exact, const std::vector<float>& got) {
  if (sizes.y_type == DType::u8) return judge_equal(sizes, exact, got);
  double error = 0, rounding = 0, norm = 0, worst = -1;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = static_cast<double>(got[i]) - exact[i];
    const double best = static_cast<double>(rounded(sizes.y_type, exact[i])) - exact[i];
    error += difference * difference, rounding += best * best, norm += exact[i] * exact[i];
    if (!(std::abs(difference) <= worst)) worst = std::abs(difference), worst_at = i;
    if (std::isnan(difference)) break;
  }
  error = std::sqrt(error), rounding = std::sqrt(rounding), norm = std::sqrt(norm);
  std::ostringstream text;
  text.precision(4);
  if (sizes.y_type == DType::f32) {
    const double limit = matrix_unit ? most_matrix_unit_error(length) : most_fp32_error;
    if (error <= limit * norm) return {};
    text << "relative L2 error " << error / norm << " is over " << limit;
  } else {
    if (error <= most_rounding_ratio * rounding + fp32_sum_error * norm) return {};
    text << "rounding ratio " << error / rounding << " is over " << most_rounding_ratio;
  }
  text << ", the worst element " << element_text(sizes.y_dims, worst_at, exact[worst_at], got[worst_at]);
  return text.str();
}

std::string judge_special(const kernels::Problem& problem, const ExactResult& reference, const RunResult& result) {
  const OperandSizes sizes = operand_sizes(problem);
  std::vector<float> got = decode(sizes.y_type, result.y);
  std::vector<double> exact = reference.y;
  if (got.size() != exact.size()) return "the reference has another size";
  for (std::size_t i = 0; i < got.size(); ++i) {
    const float expected = rounded(sizes.y_type, exact[i]);
    if (std::isfinite(expected) && std::isfinite(got[i])) continue;
    if (std::isnan(expected) ? !std::isnan(got[i]) : got[i] != expected)
      return element_text(sizes.y_dims, i, exact[i], got[i]);
    exact[i] = 0, got[i] = 0;
  }
  return judge_real(sizes, result.matrix_unit, sum_length(problem), exact, got);
}

/// The first verdict if none of the references fits.
template <class Judge>
std::string judge_any(const std::vector<ExactResult>& references, const Judge& judge_one) {
  std::string wrong;
  for (const ExactResult& reference : references) {
    const std::string verdict = judge_one(reference);
    if (verdict.empty()) return {};
    if (wrong.empty()) wrong = verdict;
  }
  return wrong;
}

/// A case whose results nearly all agree would pass with a kernel that stores a constant.
std::string judge_variety(const kernels::Problem& problem, const std::vector<float>& got) {
  if (got.size() < enough_outputs) return {};
  if (const auto* softmax = std::get_if<SoftmaxProblem>(&problem); softmax && softmax->C == 1) return {};
  std::map<float, std::size_t> counts;
  std::size_t most = 0;
  for (const float value : got) most = std::max(most, std::isnan(value) ? 0 : ++counts[value]);
  if (static_cast<double>(most) <= most_equal_outputs * static_cast<double>(got.size())) return {};
  return std::to_string(most) + " of " + std::to_string(got.size()) + " outputs are equal: the case proves nothing";
}

}  // namespace

std::string judge(const kernels::Problem& problem, DataKind kind, const ExactResult& exact, const RunResult& result) {
  const OperandSizes sizes = operand_sizes(problem);
  const std::vector<float> got = decode(sizes.y_type, result.y);
  if (got.size() != exact.y.size()) return "the reference has another size";
  std::string wrong = kind == DataKind::real ? judge_real(sizes, result.matrix_unit, sum_length(problem), exact.y, got)
                                             : judge_equal(sizes, exact.y, got);
  if (wrong.empty() && result.indices != exact.indices) {
    const auto at = std::mismatch(exact.indices.begin(), exact.indices.end(), result.indices.begin());
    wrong = "index " + std::to_string(at.first - exact.indices.begin()) + ": expected " + std::to_string(*at.first) +
            ", got " + std::to_string(*at.second);
  }
  return wrong.empty() ? judge_variety(problem, got) : wrong;
}

std::string judge(const kernels::Problem& problem, DataKind kind, const std::vector<ExactResult>& references,
                  const RunResult& result) {
  return judge_any(references, [&](const ExactResult& reference) { return judge(problem, kind, reference, result); });
}

std::string judge_special(const kernels::Problem& problem, const std::vector<ExactResult>& references,
                          const RunResult& result) {
  return judge_any(references, [&](const ExactResult& reference) { return judge_special(problem, reference, result); });
}

std::vector<ExactResult> references_of(const kernels::Problem& problem, DataKind kind, const HostData& data) {
  std::vector<ExactResult> references;
  references.push_back(exact_result(problem, data, host_threads()));
  if (kind == DataKind::real && types_of(problem).precision == Precision::tf32)
    references.push_back(exact_result(problem, with_tf32_operands(data), host_threads()));
  return references;
}

}  // namespace resnet::test

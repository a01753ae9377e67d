#include "unit/includes/include_rules.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace resnet::test {
namespace {

/// Reasons for one file with one include.
std::vector<Violation> check(std::string path, const std::string& include) {
  return check_includes({{std::move(path), "#include " + include + "\n"}});
}

std::string reason(std::string path, const std::string& include) {
  const auto violations = check(std::move(path), include);
  return violations.empty() ? std::string() : violations.front().reason;
}

TEST(ParseIncludes, FindsQuotedAngledAndIndentedLinesWithTheirNumbers) {
  const auto includes = parse_includes("// first\n#include <vector>\n#  include \"base/shape.hpp\"  // why\n");
  ASSERT_EQ(includes.size(), 2u);
  EXPECT_EQ(includes[0].line, 2);
  EXPECT_EQ(includes[0].name, "vector");
  EXPECT_TRUE(includes[0].angled);
  EXPECT_EQ(includes[1].line, 3);
  EXPECT_EQ(includes[1].name, "base/shape.hpp");
  EXPECT_FALSE(includes[1].angled);
}

TEST(ParseIncludes, SkipsCommentsOfBothKinds) {
  EXPECT_TRUE(parse_includes("// #include <a>\n/* #include <b>\n#include <c>\n*/\n").empty());
}

TEST(ParseIncludes, IsNotMisledByCommentMarksInsideStringsOrAfterALoneQuote) {
  const auto includes = parse_includes("const char* url = \"http://x/*\";\nchar q = '\"';\n#include <a>\n");
  ASSERT_EQ(includes.size(), 1u);
  EXPECT_EQ(includes[0].line, 3);
}

TEST(ParseIncludes, SeesAnIncludeBehindAConditionAndAfterABlockComment) {
  EXPECT_EQ(parse_includes("#if 0\n#include <a>\n#endif\n/* x */ #include <b>\n").size(), 2u);
}

TEST(IncludeRules, AcceptWhatTheTableAllows) {
  EXPECT_EQ(reason("engine/base/shape.cpp", "\"base/shape.hpp\""), "");
  EXPECT_EQ(reason("engine/graph/passes/fuse.cpp", "\"ops/op.hpp\""), "");
  EXPECT_EQ(reason("engine/plan/plan.cpp", "\"backends/backend.hpp\""), "");
  EXPECT_EQ(reason("engine/backends/backend_list.cpp", "\"backends/cpu/cpu_backend.hpp\""), "");
  EXPECT_EQ(reason("engine/backends/cuda/conv.cpp", "\"kernels/catalog.hpp\""), "");
  EXPECT_EQ(reason("engine/image/decode.cpp", "<turbojpeg.h>"), "");
  EXPECT_EQ(reason("tools/convert/main.cpp", "\"graph/graph.hpp\""), "");
  EXPECT_EQ(reason("tools/infer/main.cpp", "\"resnet_engine/session.hpp\""), "");
}

TEST(IncludeRules, RefuseAnUpwardInclude) {
  EXPECT_NE(reason("engine/base/shape.cpp", "\"ops/op.hpp\""), "");
  EXPECT_NE(reason("engine/graph/graph.cpp", "\"plan/plan.hpp\""), "");
  EXPECT_NE(reason("engine/plan/plan.cpp", "\"runtime/session_impl.hpp\""), "");
  EXPECT_NE(reason("engine/runtime/session.cpp", "\"common/json_output.hpp\""), "");
}

TEST(IncludeRules, RefuseASidewaysInclude) {
  EXPECT_NE(reason("engine/image/decode.cpp", "\"graph/graph.hpp\""), "");
  EXPECT_NE(reason("engine/plan/plan.cpp", "\"model/model_file.hpp\""), "");
  EXPECT_NE(reason("engine/backends/cpu/conv.cpp", "\"backends/reference/steps.hpp\""), "");
  EXPECT_NE(reason("tools/infer/main.cpp", "\"bench/timing.hpp\""), "");
}

TEST(IncludeRules, LetThePlannerSeeTheBackendInterfaceAndNothingBehindIt) {
  EXPECT_NE(reason("engine/plan/select.cpp", "\"backends/backend_list.hpp\""), "");
  EXPECT_NE(reason("engine/plan/select.cpp", "\"backends/cpu/cpu_backend.hpp\""), "");
}

TEST(IncludeRules, RefuseAnAngledIncludeOfAHigherLayerToo) {
  EXPECT_NE(reason("engine/base/shape.cpp", "<graph/graph.hpp>"), "");
}

TEST(IncludeRules, KeepOneDnnInsideItsBackend) {
  EXPECT_EQ(reason("engine/backends/cpu/conv.cpp", "<oneapi/dnnl/dnnl.hpp>"), "");
  EXPECT_NE(reason("engine/runtime/session.cpp", "<oneapi/dnnl/dnnl.hpp>"), "");
  EXPECT_NE(reason("engine/backends/reference/conv.cpp", "<dnnl.hpp>"), "");
}

TEST(IncludeRules, KeepNlohmannJsonInOneFile) {
  EXPECT_EQ(reason("engine/base/json.cpp", "<nlohmann/json.hpp>"), "");
  EXPECT_NE(reason("engine/base/json.hpp", "<nlohmann/json_fwd.hpp>"), "");
  EXPECT_NE(reason("tools/inspect/main.cpp", "<nlohmann/json.hpp>"), "");
}

TEST(IncludeRules, KeepCudaInItsBackendAndTheKernels) {
  EXPECT_EQ(reason("engine/backends/cuda/api.cpp", "<cuda_runtime_api.h>"), "");
  EXPECT_EQ(reason("kernels/conv.cu", "<cuda_fp16.h>"), "");
  EXPECT_NE(reason("engine/backends/backend_list.cpp", "<cuda_runtime.h>"), "");
  EXPECT_NE(reason("tools/bench/main.cpp", "<cudnn.h>"), "");
}

TEST(IncludeRules, AllowCli11InOneFilePerTool) {
  const auto main_file = SourceFile{"tools/infer/main.cpp", "#include <CLI/CLI.hpp>\n"};
  const auto second = SourceFile{"tools/infer/options.cpp", "#include <CLI/App.hpp>\n"};
  const auto other_tool = SourceFile{"tools/bench/main.cpp", "#include <CLI/CLI.hpp>\n"};
  EXPECT_TRUE(check_includes({main_file, other_tool}).empty());
  const auto violations = check_includes({main_file, second, other_tool});
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].file, "tools/infer/options.cpp");
  EXPECT_NE(violations[0].reason.find("tools/infer/main.cpp"), std::string::npos);
}

TEST(IncludeRules, KeepPublicHeadersOnTheStandardLibrary) {
  EXPECT_EQ(reason("engine/include/resnet_engine/model.hpp", "<vector>"), "");
  EXPECT_EQ(reason("engine/include/resnet_engine/resnet_engine.h", "<stdint.h>"), "");
  EXPECT_NE(reason("engine/include/resnet_engine/model.hpp", "<unistd.h>"), "");
  EXPECT_NE(reason("engine/include/resnet_engine/model.hpp", "\"base/shape.hpp\""), "");
}

TEST(IncludeRules, RefusePathsThatGoAroundTheLayers) {
  EXPECT_NE(reason("engine/base/shape.cpp", "\"../graph/graph.hpp\""), "");
  EXPECT_NE(reason("engine/base/shape.cpp", "\"shape.hpp\""), "");
  EXPECT_NE(reason("engine/base/shape.cpp", "HEADER_MACRO"), "");
}

TEST(IncludeRules, AskForARuleWhenAFolderHasNone) {
  EXPECT_NE(reason("engine/novelty/x.cpp", "<vector>"), "");
  EXPECT_EQ(part_of("engine/novelty/x.cpp"), "");
  EXPECT_EQ(part_of("engine/backends/cpu/conv.cpp"), "engine/backends/cpu");
}

std::size_t foreign_words(const std::string& path, const std::string& text) {
  return check_kernel_words({{path, text}}).size();
}

TEST(KernelWords, AreThoseOfKernelsDevice) {
  for (const char* line : {"const int i = threadIdx.x;", "asm volatile(\"bar.sync 0;\");", "__syncthreads();",
                           "kernel<<<1, 32>>>();", "#if RESNET_ON_GPU", "__shared__ float tile[32];",
                           "float4 v = make_float4(0, 0, 0, 0);", "atomicAdd(sum, 1.0f);", "__half x;"}) {
    EXPECT_EQ(foreign_words("kernels/conv.cu", std::string(line) + "\n"), 1u) << line;
    EXPECT_EQ(foreign_words("kernels/device/thread.hpp", std::string(line) + "\n"), 0u) << line;
  }
  EXPECT_EQ(foreign_words("kernels/conv.cu", "dev::sync_threads();  // like __syncthreads\n"), 0u);
}

TEST(IncludeRules, SayFileLineIncludeAndReason) {
  const auto violations = check_includes({{"engine/ops/x.cpp", "\n#include \"plan/plan.hpp\"\n"}});
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(to_string(violations[0]),
            "engine/ops/x.cpp:2: plan/plan.hpp: engine/ops may include base/, ops/ and resnet_engine/ only");
}

}  // namespace
}  // namespace resnet::test

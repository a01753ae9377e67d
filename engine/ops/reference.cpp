#include "ops/reference.hpp"

#include "base/check.hpp"

namespace resnet {

namespace {

template <class Acc, class In>
void apply(const ReferenceEpilogue<Acc, In>& epilogue, const Dims& dims, Acc* y) {
  const std::int64_t positions = dims.n * dims.h * dims.w;
  for (std::int64_t i = 0; i < positions; ++i) {
    for (std::int64_t c = 0; c < dims.c; ++c) {
      Acc& value = y[i * dims.c + c];
      if (epilogue.scale) value *= epilogue.scale[c];
      if (epilogue.shift) value += epilogue.shift[c];
      if (epilogue.residual) value += static_cast<Acc>(epilogue.residual[i * dims.c + c]);
      value = activate(epilogue.activation, value);
    }
  }
}

template <class Acc, class In>
void run(const OpDef& op, void (*loop)(const ReferenceArgs<Acc, In>&), const ReferenceArgs<Acc, In>& args,
         const ReferenceEpilogue<Acc, In>& epilogue) {
  if (!loop) fail(ErrorCode::unsupported, "op '" + std::string(op.name) + "' has no reference loop");
  loop(args);
  const bool empty =
      !epilogue.scale && !epilogue.shift && !epilogue.residual && epilogue.activation.kind == ActivationKind::none;
  if (!empty) apply(epilogue, args.output_dims, args.output);
}

}  // namespace

void run_reference_node(const OpDef& op, const ReferenceArgs<float>& args, const ReferenceEpilogue<float>& epilogue) {
  run(op, op.reference_f32, args, epilogue);
}
void run_reference_node(const OpDef& op, const ReferenceArgs<double>& args, const ReferenceEpilogue<double>& epilogue) {
  run(op, op.reference_f64, args, epilogue);
}
void run_reference_node(const OpDef& op, const ReferenceArgs<double, double>& args,
                        const ReferenceEpilogue<double, double>& epilogue) {
  run(op, op.reference_chain, args, epilogue);
}

}  // namespace resnet

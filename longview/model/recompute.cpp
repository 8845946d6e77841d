// The layer as one operation of autograd, whose backward runs it again with gradients.
#include "longview/model/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace longview {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A layer over tensors alone: x and the state's tensors, in the order of their names.
struct Layer : torch::CustomClassHolder {
  RunBlock run;
  int64_t seen = 0, seen_after = 0;
  std::vector<std::string> names, names_after;

  variable_list operator()(const variable_list& in) {
    State state;
    state.seen = seen;
    for (size_t n = 0; n < names.size(); ++n) state.tensors[names[n]] = in[n + 1];
    const BlockResult out = run(in[0], std::move(state));
    variable_list tensors{out.x};
    names_after.clear(), seen_after = out.state.seen;
    for (const auto& [name, tensor] : out.state.tensors) names_after.push_back(name), tensors.push_back(tensor);
    return tensors;
  }
};

constexpr size_t kMost = 9;  // x and what a state holds at most; autograd takes tensors one by one, not a list

struct Again : torch::autograd::Function<Again> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& c,
                               const Tensor& d, const Tensor& e, const Tensor& f, const Tensor& g, const Tensor& h,
                               const c10::intrusive_ptr<Layer>& layer) {
    variable_list in{x, a, b, c, d, e, f, g, h};
    in.resize(1 + layer->names.size());
    context->save_for_backward(in);
    context->saved_data["layer"] = c10::IValue::make_capsule(layer);
    variable_list own = in;
    own[0] = in[0].clone();  // without gradients a layer writes over its x
    return (*layer)(own);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto layer = c10::static_intrusive_pointer_cast<Layer>(context->saved_data["layer"].toCapsule());
    variable_list in;
    for (const auto& saved : context->get_saved_variables()) in.push_back(saved.detach().set_requires_grad(saved.requires_grad()));
    variable_list out, wanted;
    {
      const c10::AutoGradMode with_gradients(true);
      const auto all = (*layer)(in);
      for (size_t n = 0; n < all.size(); ++n)
        if (grads[n].defined() && all[n].requires_grad()) out.push_back(all[n]), wanted.push_back(grads[n]);
      torch::autograd::backward(out, wanted);
    }
    variable_list result;
    for (const auto& tensor : in) result.push_back(tensor.grad());
    result.resize(kMost + 1);  // of the layer too
    return result;
  }
};

}  // namespace

BlockResult recomputed(RunBlock run, const Tensor& x, State state) {
  if (!c10::GradMode::is_enabled() || !x.requires_grad()) return run(x, std::move(state));
  auto layer = c10::make_intrusive<Layer>();
  layer->run = std::move(run), layer->seen = state.seen;
  variable_list in{x};
  for (const auto& [name, tensor] : state.tensors) layer->names.push_back(name), in.push_back(tensor);
  LV_CHECK(in.size() <= kMost, "[recompute] a state of {} tensors; at most {} can be handed on", in.size() - 1, kMost - 1);
  in.resize(kMost, at::empty({0}));
  const auto out = Again::apply(in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], in[8], layer);
  BlockResult result{out[0], {}};
  result.state.seen = layer->seen_after;
  for (size_t n = 0; n < layer->names_after.size(); ++n) result.state.tensors[layer->names_after[n]] = out[n + 1];
  return result;
}

}  // namespace longview

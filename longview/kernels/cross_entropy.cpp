// Cross-entropy in chunks; the gradients are scaled on the way back.
#include "longview/kernels/cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

#include "longview/kernels/cuda_library.h"

namespace longview::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool is_fused_with(const Tensor& head) {
  return head.is_cuda() && head.scalar_type() == at::kBFloat16 && head.size(0) % 4 == 0 && cuda_library() != nullptr;
}

/// (hidden, head, targets, share) -> (loss, nll, right)
struct InChunks : torch::autograd::Function<InChunks> {
  static variable_list forward(AutogradContext* context, const Tensor& hidden, const Tensor& head, const Tensor& targets,
                               const Tensor& share, int64_t chunk, bool has_gradient) {
    const int64_t T = hidden.size(0);
    const auto wide = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor into_hidden = has_gradient ? at::empty_like(hidden) : Tensor();                             // [T,E]
    const Tensor into_head = has_gradient ? at::zeros(head.sizes(), head.options().dtype(wide)) : Tensor();  // [V,E]
    const Tensor nll = at::empty({T}, hidden.options().dtype(wide)), right = at::empty({T}, hidden.options().dtype(at::kBool));
    const auto put_gradients = [&](const Tensor& grad, int64_t first) {  // of logits [C,V]
      const int64_t count = grad.size(0);
      into_hidden.narrow(0, first, count).copy_(at::matmul(grad, head));
      into_head.add_(at::matmul(grad.t(), hidden.narrow(0, first, count).to(head.scalar_type())));
    };
    for (int64_t first = 0; first < T; first += chunk) {
      const int64_t count = std::min(chunk, T - first);
      const Tensor rows = hidden.narrow(0, first, count).to(head.scalar_type());  // [C,E]
      if (is_fused_with(head)) {
        const Tensor logits = at::matmul(rows, head.t()), ids = targets.narrow(0, first, count).contiguous();  // [C,V] [C]
        const Tensor shares = share.narrow(0, first, count).to(wide).contiguous();                             // [C]
        cuda_library()->rows.cross_entropy(logits.data_ptr(), ids.const_data_ptr<int64_t>(), shares.const_data_ptr<float>(),
                                           nll.data_ptr<float>() + first, right.data_ptr<bool>() + first, count, head.size(0),
                                           has_gradient, stream_of(logits));
        if (has_gradient) put_gradients(logits, first);
        continue;
      }
      const Tensor target = targets.narrow(0, first, count).unsqueeze(-1);               // [C,1]
      Tensor logits = at::matmul(rows, head.t()).to(wide);                               // [C,V]
      const Tensor total = logits.logsumexp(-1, true), own = logits.gather(-1, target);  // [C,1]
      nll.narrow(0, first, count).copy_((total - own).squeeze(-1));
      right.narrow(0, first, count).copy_(logits.argmax(-1, true).eq(target).squeeze(-1));
      if (!has_gradient) continue;
      const Tensor shares = share.narrow(0, first, count).unsqueeze(-1).to(wide);  // [C,1]
      logits.sub_(total).exp_();
      logits.scatter_add_(-1, target, at::full_like(own, -1));
      const Tensor grad = logits.mul_(shares).to(head.scalar_type());  // [C,V]
      put_gradients(grad, first);
    }
    context->save_for_backward({into_hidden, into_head});
    context->saved_data["type"] = static_cast<int64_t>(head.scalar_type());
    context->mark_non_differentiable({nll, right});
    return {(nll * share.to(wide)).sum(), nll, right};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {saved[0] * grads[0].to(saved[0].scalar_type()), (saved[1] * grads[0]).to(type), {}, {}, {}, {}};
  }
};

}  // namespace

CrossEntropy cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& share, int64_t chunk) {
  Shapes("cross_entropy")("hidden", hidden, "T E")("head", head, "V E")("targets", targets, "T")("share", share, "T");
  const int64_t most = int64_t{1} << (head.is_cpu() ? 24 : is_fused_with(head) ? 29 : 27);  // logits at a time
  if (chunk == 0) chunk = std::max<int64_t>(1, most / head.size(0));
  const bool has_gradient = c10::GradMode::is_enabled() && (hidden.requires_grad() || head.requires_grad());
  auto out = InChunks::apply(hidden, head, targets, share, chunk, has_gradient);
  return {out[0], out[1], out[2]};
}

}  // namespace longview::kernels

"""Parameters after each of some AdamW steps of PyTorch, with clipping and a warmed-up schedule.

    python tests/references/optimizer.py

writes crates/train/tests/fixtures/adamw.json, which `crates/train/tests/optimizer.rs` reads. Gradients
grow from step to step so that some steps are clipped and some are not. `decay` has weight decay 0.01,
`bias` has none. `layered`: the same schedule with layer-wise decay of the rate as BEiT has it, a parameter
group a level, of parameters that lie 0, 1 and 4 levels below the head. Tolerance: 2e-6 relative; both sides
compute in f32 and round at different places.
"""

import json
import pathlib

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, PEAK, WARMUP, CLIP = 12, 1e-2, 3, 1.0
LAYER_DECAY, LEVELS = 0.7, [0, 1, 4]


def linear(step):
    """transformers' get_linear_schedule_with_warmup."""
    if step < WARMUP:
        return step / max(1, WARMUP)
    return max(0.0, (STEPS - step) / max(1, STEPS - WARMUP))


def layered():
    parameters = [torch.nn.Parameter(torch.randn(6)) for _ in LEVELS]
    start = [parameter.detach().tolist() for parameter in parameters]
    groups = [
        {"params": [parameter], "lr": PEAK * LAYER_DECAY**level, "weight_decay": 0.01}
        for parameter, level in zip(parameters, LEVELS)
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, linear)
    steps = []
    for _ in range(STEPS):
        for parameter in parameters:
            parameter.grad = torch.randn(6)
        gradients = [parameter.grad.tolist() for parameter in parameters]
        optimizer.step()
        schedule.step()
        steps.append({"gradients": gradients, "values": [parameter.detach().tolist() for parameter in parameters]})
    return {"decay": LAYER_DECAY, "levels": LEVELS, "start": start, "steps": steps}


def main():
    torch.manual_seed(0)
    decay = torch.nn.Parameter(torch.randn(3, 5))
    bias = torch.nn.Parameter(torch.randn(4))
    start = {"decay": decay.detach().flatten().tolist(), "bias": bias.detach().tolist()}
    optimizer = torch.optim.AdamW(
        [{"params": [decay], "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}],
        lr=PEAK, betas=(0.9, 0.999), eps=1e-8, foreach=False,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, linear)
    steps = []
    for step in range(STEPS):
        decay.grad = torch.randn(3, 5) * 0.05 * (step + 1)
        bias.grad = torch.randn(4) * 0.05 * (step + 1)
        gradients = {"decay": decay.grad.flatten().tolist(), "bias": bias.grad.tolist()}
        rate = optimizer.param_groups[0]["lr"]
        norm = torch.nn.utils.clip_grad_norm_([decay, bias], CLIP).item()
        optimizer.step()
        schedule.step()
        steps.append({
            "gradients": gradients, "learning_rate": rate, "grad_norm": norm,
            "decay": decay.detach().flatten().tolist(), "bias": bias.detach().tolist(),
        })
    clipped = sum(step["grad_norm"] > CLIP for step in steps)
    assert 0 < clipped < STEPS, "some steps must be clipped and some not"
    out = {
        "torch": torch.__version__, "seed": 0, "peak": PEAK, "warmup": WARMUP, "total": STEPS,
        "clip_norm": CLIP, "weight_decay": 0.01, "start": start, "steps": steps, "layered": layered(),
    }
    path = ROOT / "crates/train/tests/fixtures/adamw.json"
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Longview beside transformers on one checkpoint, in one run, alternately: prefill, decode, peak memory.

  peers.py --model MODEL.gguf --folder FOLDER [--repeat 3] [--prompts 1,512,2048,8192] [--generate 32] [--threads 2] [--json FILE]

Every measurement is a fresh process: it prefills a prompt, then decodes greedily at that depth. Both sides take turns and swap
who goes first at every repetition, so that a busy machine hurts both. Printed: medians, ratios (above 1: ours is faster, or
smaller), and JSON lines of everything. Transformers runs in float32 (sdpa, DynamicCache, logits of the last token only) from
--folder, made from the GGUF when it is not there, so that its dequantisation is in neither time nor memory; a short prompt warms
it up before the clock starts (ours is not warmed up). Time to the first token counts from the start of the process, loading
included, that warm-up left out. Peak memory is VmHWM.
"""
import argparse, datetime, importlib.metadata, json, os, statistics, subprocess, sys, time

# What runs ours: it prints one JSON object, last, with the fields of FIELDS.
OURS = "build/longview bench --repeat 1 --json - --model {model} --threads {threads} --prompt {prompt} --generate {generate}"
FIELDS = ("prefill_tokens_per_second", "decode_tokens_per_second", "seconds_to_first_token", "rss_peak_bytes")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def peak_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024


def make_folder(model, folder):
    """The GGUF as float32 safetensors, once."""
    import torch, transformers
    loaded = transformers.AutoModelForCausalLM.from_pretrained(os.path.dirname(model) or ".", gguf_file=os.path.basename(model), dtype=torch.float32)
    plain = transformers.AutoModelForCausalLM.from_config(loaded.config, dtype=torch.float32)   # the loaded one counts as quantised and will not be saved
    plain.load_state_dict(loaded.state_dict())
    vars(plain.config).pop("quantization_config", None)
    plain.save_pretrained(folder)


def transformers_side(args, started):
    """One measurement, in this process."""
    import torch, transformers
    torch.set_num_threads(args.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="sdpa").eval()

    def run(count, generate):
        cache = transformers.DynamicCache(config=model.config)
        ids = (torch.arange(count) * 7919 % model.config.vocab_size)[None]           # which tokens they are does not matter
        began = time.perf_counter()
        step = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1:].argmax(-1)
        first = time.perf_counter()
        for _ in range(generate):
            step = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1:].argmax(-1)
        return first - began, time.perf_counter() - first

    loading = time.perf_counter() - started
    with torch.inference_mode():
        run(min(args.prompt, 64), 2)
        prefill, decode = run(args.prompt, args.generate)
    print(json.dumps(dict(zip(FIELDS, (args.prompt / prefill, args.generate / decode, loading + prefill, peak_bytes())))))


def measure(side, args, prompt):
    if side == "transformers":
        command = [sys.executable, os.path.abspath(__file__), "--worker", "--model", args.model, "--folder", args.folder,
                   "--prompt", str(prompt), "--generate", str(args.generate), "--threads", str(args.threads)]
    else:
        command = [word.format(model=args.model, threads=args.threads, prompt=prompt, generate=args.generate) for word in OURS.split()]
    # Some virtual machines advertise AMX and cannot run it.
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout[done.stdout.index("{"):])
    return {field: found[field] for field in FIELDS}


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def about(args):
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output("git", "rev-parse", "--short", "HEAD") + ("+changes" if changed else ""),
        "machine": f"{cpu}, {os.cpu_count()} cores, {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GiB",
        "load": os.getloadavg()[0], "threads": args.threads, "model": os.path.basename(args.model), "repeat": args.repeat,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
    }


def table(sides, prompts, median):
    rows = [(f"prefill {p:,}", p, "prefill_tokens_per_second", "tok/s", 1) for p in prompts if p > 1]
    rows += [(f"decode at {p if p > 1 else 0:,}", p, "decode_tokens_per_second", "tok/s", 1) for p in prompts]
    rows += [(f"first token {p:,}", p, "seconds_to_first_token", "s", -1) for p in prompts if p > 1]
    rows += [(f"peak memory {p:,}", p, "rss_peak_bytes", "MiB", -1) for p in prompts]
    print(f"{'':20}" + "".join(f"{side:>14}" for side in sides) + ("         ratio" if len(sides) == 2 else ""))
    for title, prompt, field, unit, better in rows:
        values = [median[side, prompt][field] for side in sides]
        shown = "".join(f"{v / 2**20 if unit == 'MiB' else v:>14,.{2 if unit == 's' else 1}f}" for v in values)
        ratio = f"{(values[0] / values[1]) ** better:>13.2f}x" if len(sides) == 2 else ""
        print(f"{title:20}{shown}{ratio}  {unit}")


def main():
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", required=True, help="the checkpoint as float32 safetensors; made when missing")
    parser.add_argument("--prompts", default="1,512,2048,8192")
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="append the JSON lines here too")
    parser.add_argument("--skip-ours", action="store_true")
    parser.add_argument("--skip-transformers", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--prompt", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.model, args.folder = os.path.abspath(args.model), os.path.abspath(args.folder)
    if args.worker:
        return transformers_side(args, started)
    sides = [side for side, skip in (("longview", args.skip_ours), ("transformers", args.skip_transformers)) if not skip]
    prompts = [int(p) for p in args.prompts.split(",")]
    if "transformers" in sides and not os.path.exists(os.path.join(args.folder, "config.json")):
        make_folder(args.model, args.folder)

    head, runs = about(args), {(side, prompt): [] for side in sides for prompt in prompts}
    for repetition in range(args.repeat):
        for prompt in prompts:
            for side in sides[:: -1 if repetition % 2 else 1]:
                runs[side, prompt].append(measure(side, args, prompt))
                print(f"{repetition + 1}/{args.repeat} {side} {prompt}", file=sys.stderr)

    median = {key: {field: statistics.median(run[field] for run in of) for field in FIELDS} for key, of in runs.items()}
    table(sides, prompts, median)
    lines = [json.dumps({**head, "side": side, "prompt": prompt, "generate": args.generate, "median": median[side, prompt], "runs": of})
             for (side, prompt), of in runs.items()]
    print("\n".join(lines))
    if args.json:
        with open(args.json, "a") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Random models of `transformers`, what they compute, and what they find: a process of its own for test_marian.py.

python marian_oracle.py PACKAGES OUT
"""

import json
import sys
from pathlib import Path

packages, out = sys.argv[1], Path(sys.argv[2])
sys.path.append(packages)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from transformers import MarianConfig, MarianMTModel  # noqa: E402

torch.set_num_threads(1)
VARIANTS = [
    {"activation_function": "swish", "scale_embedding": True, "d_model": 32, "encoder_attention_heads": 4},
    {"activation_function": "relu", "scale_embedding": False, "d_model": 24, "encoder_attention_heads": 3},
    {"activation_function": "gelu", "scale_embedding": True, "d_model": 20, "encoder_attention_heads": 2},
    {"activation_function": "swish", "scale_embedding": True, "d_model": 32, "decoder_layers": 1, "encoder_layers": 3},
    {"activation_function": "relu", "scale_embedding": True, "d_model": 16, "share_encoder_decoder_embeddings": False},
]
for number, variant in enumerate(VARIANTS):
    torch.manual_seed(number)
    size = json.loads((out / "size.json").read_text())
    settings = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2} | variant
    settings["decoder_attention_heads"] = settings["encoder_attention_heads"]
    config = MarianConfig(
        vocab_size=size, encoder_ffn_dim=40, decoder_ffn_dim=40, max_position_embeddings=64, pad_token_id=size - 1,
        eos_token_id=0, decoder_start_token_id=size - 1, forced_eos_token_id=None, bos_token_id=None,
        **({"tie_word_embeddings": True} | settings),
    )  # fmt: skip
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" in name:
                continue
            parameter.normal_(0, 0.3 if parameter.dim() > 1 else 0.2)
            if "layer_norm.weight" in name:
                parameter.add_(1)
        model.final_logits_bias.normal_(0, 0.5)
        model.final_logits_bias[0, 0] += 2.5
        model.final_logits_bias[0, size - 1] = -100  # padding is never written
    folder = out / str(number)
    model.save_pretrained(folder)
    drawn = torch.Generator().manual_seed(number)
    found: dict[str, np.ndarray] = {}
    for row, length in enumerate((3, 7, 11, 17)):
        source = torch.cat([torch.randint(2, size - 2, (length,), generator=drawn), torch.tensor([0])])[None]
        target = torch.cat([torch.tensor([size - 1]), torch.randint(2, size - 2, (length,), generator=drawn)])[None]
        with torch.no_grad():
            logits = model(input_ids=source, decoder_input_ids=target).logits[0]
            found |= {f"source {row}": source[0].numpy(), f"target {row}": target[0].numpy()}
            found[f"logits {row}"] = logits.numpy()
            for beam, penalty in ((1, 1.0), (4, 0.0), (4, 1.0)):
                more = {"length_penalty": penalty, "early_stopping": False} if beam > 1 else {}
                length_limit = 3 * length + 10
                made = model.generate(
                    input_ids=source, num_beams=beam, max_new_tokens=length_limit, do_sample=False, **more
                )
                found[f"beam {beam} {penalty} {row}"] = made[0].numpy()
    np.savez(folder / "found.npz", **found)

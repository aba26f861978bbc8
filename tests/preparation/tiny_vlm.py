"""A Qwen2.5-VL and a SAM of a few thousand random weights, with real processors built here."""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="transformers is the extra `vlm`")
tokenizers = pytest.importorskip("tokenizers")

NEW = int(transformers.__version__.split(".")[0]) >= 5  # the last one for Python 3.10 is 4
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
SPECIAL += ["<|image_pad|>", "<|video_pad|>"]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer():
    """Bytes as tokens."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    numbers = {letter: i for i, letter in enumerate(letters)}
    plain = tokenizers.Tokenizer(tokenizers.models.BPE(numbers, []))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = tokenizers.decoders.ByteLevel()
    kind = transformers.PreTrainedTokenizerFast if NEW else transformers.Qwen2TokenizerFast
    return kind(
        tokenizer_object=plain,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        additional_special_tokens=SPECIAL[1:],
    )


def tiny_qwen():
    """(model, processor); images are seen in 28 to 112 pixels."""
    words = tokenizer()
    _, _, end, vision_start, vision_end, image, video = words.convert_tokens_to_ids(SPECIAL)
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters" if NEW else "rope_scaling": {
                "rope_type": "default",
                "mrope_section": [2, 3, 3],
                "rope_theta": 1e4,
            },
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": words.pad_token_id,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [0],
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=vision_start,
        vision_end_token_id=vision_end,
    )
    torch.manual_seed(0)
    model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    pixels = transformers.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=112 * 112)
    processor = transformers.Qwen2_5_VLProcessor(
        image_processor=pixels,
        tokenizer=words,
        video_processor=transformers.Qwen2VLVideoProcessor(),
        chat_template=CHAT,
    )
    return model, processor


def tiny_sam():
    """(model, processor) of images in 64 pixels."""
    side = {"image_size": 64, "patch_size": 16}
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "window_size": 0,
            "global_attn_indexes": [0],
            "mlp_dim": 32,
            "num_pos_feats": 8,
            **side,
        },
        prompt_encoder_config={"hidden_size": 16, "mask_input_channels": 4, **side},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    torch.manual_seed(0)
    pixels = transformers.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    )
    return transformers.SamModel(config), transformers.SamProcessor(pixels)


def save(pair, folder):
    """As published weights lie in a folder; returns it as text."""
    for part in pair:
        part.save_pretrained(folder)
    return str(folder)


def says(model, processor, text):
    """Have a model answer every question with a text, whatever it is shown."""
    tokens = torch.tensor(processor.tokenizer(text)["input_ids"])

    def generate(input_ids, **options):
        assert len(tokens) <= options["max_new_tokens"]
        return torch.cat([input_ids, tokens.expand(len(input_ids), -1)], dim=1)

    model.generate = generate

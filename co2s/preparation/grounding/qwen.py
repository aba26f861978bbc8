"""Qwen2.5-VL: a vision-language model that answers with boxes in pixels of the image it sees."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from .pretrained import loaded, transformers, version

KIND = "qwen2_5_vl"  # whose coordinates are pixels of the resized image; other models count else


class Answer(NamedTuple):
    """A text, and the size (height, width) of the image that it speaks of, as the model saw it."""

    text: str
    seen: tuple[int, int]


class Qwen:
    """A model of this family with its processor."""

    def __init__(self, model: Any, processor: Any, max_new_tokens: int = 1024) -> None:
        """max_new_tokens: of an answer; a longer one is cut off."""
        self.model, self.processor = model.eval(), processor
        self.max_new_tokens = max_new_tokens
        self.name = self.version = ""
        self.processor.tokenizer.padding_side = "left"  # answers begin where questions end

    @classmethod
    def load(
        cls, name: str, device: str, revision: str | None = None, max_new_tokens: int = 1024
    ) -> "Qwen":
        """From a folder, or the name of published weights; OSError where they cannot be had,
        ValueError for a model of another kind."""
        library = transformers()
        config = loaded(library.AutoConfig, name, revision=revision)
        kind = config.model_type
        if kind != KIND:
            raise ValueError(
                f"--model {name} is a {kind}; the boxes of {KIND} are known to be in pixels, those "
                "of others are not. Write its boxes yourself, and give them with --boxes-from."
            )
        processor = loaded(library.AutoProcessor, name, revision=revision)
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        network = library.Qwen2_5_VLForConditionalGeneration
        model = loaded(network, name, revision=revision, dtype=dtype).to(device)
        found = cls(model, processor, max_new_tokens)
        found.name, found.version = name, version(name, config)
        return found

    @torch.no_grad()
    def ask(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[Answer]:
        """An answer for each pair of an image (H, W, 3) uint8 and a question, all at once."""
        texts = [self._text(question) for question in questions]
        pictures = [Image.fromarray(np.ascontiguousarray(image)) for image in images]
        inputs = self.processor(text=texts, images=pictures, padding=True, return_tensors="pt")
        inputs = inputs.to(self.model.device)
        tokens = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        said = self.processor.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        side = self.processor.image_processor.patch_size
        grids = inputs["image_grid_thw"].tolist()
        sizes = [(side * height, side * width) for _, height, width in grids]
        return [Answer(*pair) for pair in zip(said, sizes, strict=True)]

    def _text(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )

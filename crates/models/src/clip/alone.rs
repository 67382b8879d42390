//! A tower of CLIP that transformers saved alone, with its projection or without: a model of that
//! tower's arm. The other tower is not there at all, neither made nor saved.

use mmc_data::Arm;

use super::head::HEADS;
use super::{Clip, ClipConfig, TextConfig, VisionConfig, blueprint, projection};
use super::{text_stack, vision_stack};
use crate::architecture::Architecture;

/// By the `model_type` of its `config.json`. Without the class that has a projection, the tower's
/// names have no prefix and the projection is made, where that is allowed.
pub(crate) const TOWERS: &[(&str, Architecture)] = &[
    (
        "clip_text_model",
        Architecture {
            name: "clip",
            prefix: "text_model.",
            outer: "",
            parts: &["embeddings.", "encoder.", "final_layer_norm."],
            class: "CLIPTextModelWithProjection",
            heads: HEADS,
            head_apart: true,
            width: projection,
            arms: &[Arm::Text],
            optional: &["text_projection."],
            off_path: |_arm| &[],
            stacks: |file| Ok(vec![text_stack(file)?]),
            build: |build, parameters| {
                let config = ClipConfig {
                    projection: projection(build.config)?,
                    text: Some(TextConfig::read(build.config, build.dropout)?),
                    vision: None,
                };
                Ok(Box::new(Clip::new(config, build.arm, build.head, build.classes, parameters)?))
            },
            blueprint,
        },
    ),
    (
        "clip_vision_model",
        Architecture {
            name: "clip",
            prefix: "vision_model.",
            outer: "",
            parts: &["embeddings.", "encoder.", "pre_layrnorm.", "post_layernorm."],
            class: "CLIPVisionModelWithProjection",
            heads: HEADS,
            head_apart: true,
            width: projection,
            arms: &[Arm::Image],
            optional: &["visual_projection."],
            off_path: |_arm| &[],
            stacks: |file| Ok(vec![vision_stack(file)?]),
            build: |build, parameters| {
                let config = ClipConfig {
                    projection: projection(build.config)?,
                    text: None,
                    vision: Some(VisionConfig::read(build.config, build.dropout)?),
                };
                Ok(Box::new(Clip::new(config, build.arm, build.head, build.classes, parameters)?))
            },
            blueprint,
        },
    ),
];

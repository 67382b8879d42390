//! ViLT.
use mmc_data::Arm;

/// What the text arm leaves out: all that reads the picture. The modality table stays, since its
/// row 0 marks the text.
pub(crate) fn off_path(arm: Arm) -> &'static [&'static str] {
    match arm {
        Arm::Text => &[
            "vilt.embeddings.cls_token",
            "vilt.embeddings.position_embeddings",
            "vilt.embeddings.patch_embeddings.projection.weight",
            "vilt.embeddings.patch_embeddings.projection.bias",
        ],
        Arm::Both | Arm::Image => &[],
    }
}

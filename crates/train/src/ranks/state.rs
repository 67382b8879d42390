//! What all ranks must have alike: the checkpoint they begin with, the state they go on from, the
//! weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::Tensor;
use mmc_models::Parameter;
use mmc_ops::in_place_f32;
use sha2::{Digest as _, Sha256};

use super::Ranks;
use crate::moved::Moment;
use crate::optimizer::AdamW;
use crate::resume::{Counters, digits};
use crate::start::optimizer_settings;
use crate::{Plan, TrainError};

/// Gives every rank the counters, the values of the parameters that train and their moments that rank 0
/// goes on from.
pub(crate) fn share_state(
    plan: &Plan,
    parameters: &[&Parameter],
    (counters, optimizer): (Counters, AdamW),
) -> Result<(Counters, AdamW), TrainError> {
    let ranks = &plan.ranks;
    if ranks.is_alone() {
        return Ok((counters, optimizer));
    }
    let counters = ranks.broadcast_value(counters)?;
    if counters.step == 0 {
        return Ok((counters, optimizer));
    }
    let values = parameters.iter().map(|parameter| parameter.var.as_tensor());
    for tensor in values.chain(optimizer.moments()) {
        broadcast_tensor(ranks, tensor)?;
    }
    let moments = optimizer.moments().to_vec();
    let optimizer = AdamW::restored(moments, counters.steps_taken(), optimizer_settings(plan));
    Ok((counters, optimizer))
}

/// Gives every rank the values of a contiguous tensor of rank 0, where it lies.
fn broadcast_tensor(ranks: &Ranks, tensor: &Tensor) -> Result<(), TrainError> {
    if tensor.device().is_cpu() {
        return in_place_f32(tensor, |values| ranks.broadcast(bytemuck::cast_slice_mut(values)))?;
    }
    let flat = tensor.flatten_all()?;
    let mut values: Vec<f32> = flat.to_vec1()?;
    ranks.broadcast(bytemuck::cast_slice_mut(&mut values))?;
    if !ranks.is_first() {
        flat.slice_set(&Tensor::new(values, tensor.device())?, 0, 0)?;
    }
    Ok(())
}

/// Whether every rank has the same weights after `step` steps.
pub(crate) fn check_weights(
    ranks: &Ranks,
    parameters: &[&Parameter],
    step: u64,
) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let all = ranks.gather(&Moment::of(parameters)?.checksums())?;
    for (rank, other) in all.iter().enumerate() {
        let same = |(one, other): (&u64, &u64)| one == other;
        if let Some(at) = all[0].iter().zip(other).position(|pair| !same(pair)) {
            let parameter = parameters[at].name.clone();
            return Err(TrainError::RankWeights { step, rank, parameter });
        }
    }
    Ok(())
}

/// Files beside the weights that are longer than this say nothing of how a model reads its input.
const LONGEST: u64 = 64 << 20;

/// Whether every rank begins with the same checkpoint, as far as it is not weights, which
/// [`check_weights`] compares: configuration, tokenizer, processor.
pub(crate) fn check_source(ranks: &Ranks, source: &Path) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let mut own = BTreeMap::new();
    for entry in fs::read_dir(source).map_err(TrainError::io(source))? {
        let path = entry.map_err(TrainError::io(source))?.path();
        let is_small = fs::metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= LONGEST);
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        if is_small && ["json", "txt", "model"].contains(&extension) {
            let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
            let mut hash = Sha256::new();
            hash.update(bytes);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            own.insert(name, digits(hash));
        }
    }
    let all = ranks.gather(&own)?;
    for (rank, other) in all.iter().enumerate() {
        if let Some((name, _)) = all[0].iter().find(|(name, sum)| other.get(*name) != Some(*sum)) {
            let how = if other.contains_key(name) { "is another file than" } else { "is not as" };
            let differences = vec![format!("`{name}` of the checkpoint {how} at rank 0")];
            return Err(TrainError::RanksDiffer { rank, differences });
        }
    }
    Ok(())
}

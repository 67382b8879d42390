//! The optimiser's passes over all parameters, where they lie: one kernel each.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::Argument::Real;
use super::launch::{Argument, Grid, address, device_of, run};

/// Elements that one block works through: `CHUNK` of the kernels.
const CHUNK: usize = 16 * 1024;

/// What a step of AdamW does to all parameters, in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// What gradients are multiplied by.
    pub scale: f32,
    /// 1 − β₁.
    pub new_first: f32,
    /// β₂.
    pub keep_second: f32,
    /// 1 − β₂.
    pub new_second: f32,
    /// The root of the correction of the second moment.
    pub root: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

/// A parameter that takes a step.
#[derive(Clone, Copy, Debug)]
pub struct AdamWParameter<'a> {
    /// Its value, `n` elements.
    pub values: &'a Tensor,
    /// `[2, n]`: its first moments, then its second.
    pub moments: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// What it is multiplied by: 1 − rate × decay.
    pub keep: f32,
    /// Its learning rate over the correction of the first moment.
    pub step_size: f32,
}

/// One step: values and moments change where they lie.
///
/// # Errors
/// Tensors that are not contiguous f32 on one CUDA device, or of other sizes.
pub fn adamw(parameters: &[AdamWParameter<'_>], step: AdamWStep) -> Result<()> {
    let Some(first) = parameters.first() else { return Ok(()) };
    let device = first.values.device();
    let mut gradients = Vec::with_capacity(parameters.len());
    for AdamWParameter { values, moments, gradient, .. } in parameters {
        let count = values.elem_count();
        let fits = (moments.elem_count(), gradient.elem_count()) == (2 * count, count);
        if !fits || [values, moments, gradient].iter().any(|it| it.dtype() != DType::F32) {
            bail!("AdamW takes f32 parameters, as many gradients and twice as many moments");
        }
        gradients.push(gradient.contiguous()?);
    }
    let list =
        |of: fn(&AdamWParameter<'_>) -> Tensor| parameters.iter().map(of).collect::<Vec<_>>();
    let numbers =
        |of: fn(&AdamWParameter<'_>) -> f32| Tensor::from_iter(parameters.iter().map(of), device);
    let (values, moments) = (list(|it| it.values.clone()), list(|it| it.moments.clone()));
    let chunks = Chunks::of(&gradients, device)?;
    let tables = [
        addresses(&values, device)?,
        addresses(&moments, device)?,
        addresses(&gradients, device)?,
        numbers(|it| it.keep)?,
        numbers(|it| it.step_size)?,
    ];
    let mut arguments = tables.iter().map(address).collect::<Result<Vec<_>>>()?;
    arguments.extend(chunks.arguments()?);
    let AdamWStep { scale, new_first, keep_second, new_second, root, epsilon } = step;
    arguments.extend([scale, new_first, keep_second, new_second, root, epsilon].map(Real));
    run(device_of(&values[0])?, "adamw", Grid::of_rows(chunks.count), &arguments)
}

/// The sum of the squares of all elements of each tensor, in f64. The work is cut by the sizes
/// alone and added in order, and the device is waited for once.
///
/// # Errors
/// Tensors that are not f32 on one CUDA device.
pub fn sums_of_squares(tensors: &[Tensor]) -> Result<Vec<f64>> {
    let Some(first) = tensors.first() else { return Ok(Vec::new()) };
    if tensors.iter().any(|tensor| tensor.dtype() != DType::F32) {
        bail!("sums of squares are of f32 tensors");
    }
    let device = first.device();
    let tensors = tensors.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let chunks = Chunks::of(&tensors, device)?;
    // SAFETY: the kernel launched below writes every part before it is read.
    let parts = unsafe { Tensor::empty(chunks.count, DType::F64, device)? };
    let table = addresses(&tensors, device)?;
    let mut arguments = vec![address(&parts)?, address(&table)?];
    arguments.extend(chunks.arguments()?);
    run(device_of(&tensors[0])?, "square_parts", Grid::of_rows(chunks.count), &arguments)?;
    let parts: Vec<f64> = parts.to_vec1()?;
    let mut parts = parts.iter();
    let blocks = |tensor: &Tensor| tensor.elem_count().div_ceil(CHUNK);
    Ok(tensors.iter().map(|tensor| parts.by_ref().take(blocks(tensor)).sum()).collect())
}

/// Where each tensor begins, as a table on the device.
fn addresses(tensors: &[Tensor], device: &Device) -> Result<Tensor> {
    let place = |tensor: &Tensor| match address(tensor)? {
        Argument::Address(place) => Ok(place as i64),
        _ => bail!("a tensor has no place"),
    };
    Tensor::new(tensors.iter().map(place).collect::<Result<Vec<i64>>>()?, device)
}

/// Which elements each block works through.
struct Chunks {
    count: usize,
    sizes: Tensor, // [tensors], how many elements
    owner: Tensor, // [chunks], of which tensor
    place: Tensor, // [chunks], which of its chunks
}

impl Chunks {
    fn of(tensors: &[Tensor], device: &Device) -> Result<Self> {
        let (mut sizes, mut owner, mut place) = (Vec::new(), Vec::new(), Vec::new());
        for (index, tensor) in tensors.iter().enumerate() {
            let size = tensor.elem_count();
            let Ok(elements) = u32::try_from(size) else {
                bail!("a parameter of {size} elements is more than the optimiser takes");
            };
            sizes.push(elements);
            for chunk in 0..size.div_ceil(CHUNK) {
                owner.push(index as u32);
                place.push(chunk as u32);
            }
        }
        let count = owner.len();
        let on_device = |numbers: Vec<u32>| Tensor::new(numbers, device);
        Ok(Self {
            count,
            sizes: on_device(sizes)?,
            owner: on_device(owner)?,
            place: on_device(place)?,
        })
    }

    fn arguments(&self) -> Result<[Argument; 3]> {
        Ok([address(&self.sizes)?, address(&self.owner)?, address(&self.place)?])
    }
}

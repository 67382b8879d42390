//! A result that was computed, in candle's graph with a backward of its own.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage as _;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage,
    Tensor, bail,
};

use crate::recording::is_recording;

/// From the gradient by the result to those by the operands, in their order.
pub(super) type Backward = Box<dyn FnOnce(&Tensor) -> Result<[Option<Tensor>; 3]> + Send>;

struct Node {
    name: &'static str,
    output: Mutex<Option<Tensor>>,
    backward: Mutex<Option<Backward>>,
}

/// Puts `output` into the graph behind up to three operands. Where there is no graph, it is itself.
pub(super) fn node(
    name: &'static str,
    operands: &[&Tensor],
    output: Tensor,
    backward: Backward,
) -> Result<Tensor> {
    if !is_recording() || !operands.iter().any(|operand| operand.track_op()) {
        return Ok(output);
    }
    let node =
        Node { name, output: Mutex::new(Some(output)), backward: Mutex::new(Some(backward)) };
    match operands {
        [x] => x.apply_op1(node),
        [x, y] => x.apply_op2(y, node),
        [x, y, z] => x.apply_op3(y, z, node),
        _ => bail!("{name}: a node has one to three operands"),
    }
}

impl Node {
    /// The storage of the result.
    fn storage(&self) -> Result<(CudaStorage, Shape)> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(output) = output else { bail!("{}: computed twice", self.name) };
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{}: the result is not on a CUDA device", self.name),
        }
    }

    fn gradients(&self, gradient: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let backward = self.backward.lock().unwrap_or_else(PoisonError::into_inner).take();
        match backward {
            Some(backward) => backward(&gradient.detach().contiguous()?),
            None => bail!("{}: the backward pass can be taken once", self.name),
        }
    }

    fn on_the_cpu<R>(&self) -> Result<R> {
        bail!("{}: this form is for CUDA devices", self.name)
    }
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_the_cpu()
    }
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.storage()
    }
    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [by_x, ..] = self.gradients(gradient)?;
        Ok(by_x)
    }
}

impl CustomOp2 for Node {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_the_cpu()
    }
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.storage()
    }
    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [by_x, by_y, _] = self.gradients(gradient)?;
        Ok((by_x, by_y))
    }
}

impl CustomOp3 for Node {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_the_cpu()
    }
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.storage()
    }
    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [by_x, by_y, by_z] = self.gradients(gradient)?;
        Ok((by_x, by_y, by_z))
    }
}

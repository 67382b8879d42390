//! Whether operations remember what their gradient needs, and which of their forms is used.

use std::cell::Cell;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Tensor};

thread_local! {
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    static COMPOSING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with a flag of this thread at a value, and then puts back what it was, also where `work`
/// panics.
fn with_flag<R>(
    flag: &'static std::thread::LocalKey<Cell<bool>>,
    value: bool,
    work: impl FnOnce() -> R,
) -> R {
    struct Restore(&'static std::thread::LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(flag, flag.replace(value));
    work()
}

/// Runs `work`, on this thread, with every operation of this crate made of candle's own: the
/// reference that the hand-written forms are held equal to.
pub fn with_composed_forms<R>(work: impl FnOnce() -> R) -> R {
    with_flag(&COMPOSING, true, work)
}

/// Whether the composed forms are asked for.
pub(crate) fn is_composing() -> bool {
    COMPOSING.get()
}

/// Runs `work`, on this thread, with the operations of this crate remembering nothing for a
/// backward pass: what `torch.no_grad` does. Their results have no graph.
///
/// ```
/// # use candle_core::{Device, Tensor, Var};
/// let x = Var::new(&[[1.0_f32, 2.0]], &Device::Cpu)?;
/// let y = mmc_ops::without_gradient(|| mmc_ops::gelu(&x))?;
/// assert!(!y.track_op());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn without_gradient<R>(work: impl FnOnce() -> R) -> R {
    with_flag(&PAUSED, true, work)
}

/// Runs `work` as on a thread on which neither was asked for.
pub(crate) fn with_usual_forms<R>(work: impl FnOnce() -> R) -> R {
    with_flag(&PAUSED, false, || with_flag(&COMPOSING, false, work))
}

/// Whether a graph is kept.
pub(crate) fn is_recording() -> bool {
    !PAUSED.get()
}

/// `op` on `x`, with its graph unless that is switched off.
pub(crate) fn applied1<C>(x: &Tensor, op: C) -> candle_core::Result<Tensor>
where
    C: CustomOp1 + Send + Sync + 'static,
{
    if is_recording() { x.apply_op1(op) } else { x.apply_op1_no_bwd(&op) }
}

/// `op` on two tensors, with its graph unless that is switched off.
pub(crate) fn applied2<C>(x: &Tensor, y: &Tensor, op: C) -> candle_core::Result<Tensor>
where
    C: CustomOp2 + Send + Sync + 'static,
{
    if is_recording() { x.apply_op2(y, op) } else { x.apply_op2_no_bwd(y, &op) }
}

/// `op` on three tensors, with its graph unless that is switched off.
pub(crate) fn applied3<C>(x: &Tensor, y: &Tensor, z: &Tensor, op: C) -> candle_core::Result<Tensor>
where
    C: CustomOp3 + Send + Sync + 'static,
{
    if is_recording() { x.apply_op3(y, z, op) } else { x.apply_op3_no_bwd(y, z, &op) }
}

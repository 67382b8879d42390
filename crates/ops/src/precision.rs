//! The type in which products of matrices are computed: mixed precision.
//!
//! Parameters, states between operations, norms, softmax, losses, gradients and the optimiser stay
//! in f32 (Micikevicius et al., 2018).

use std::cell::Cell;

/// A type of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// bfloat16: f32's range with 8 bits of precision.
    Bf16,
    /// IEEE half: 11 bits of precision, nothing above 65504, so that losses have to be scaled.
    F16,
}

thread_local! {
    static PRODUCTS: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `work`, on this thread, with the products of f32 matrices of this crate in this type, and then
/// puts back what was before, also where `work` panics. Operands are rounded, results are f32.
pub fn with_products_in<R>(precision: Precision, work: impl FnOnce() -> R) -> R {
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            PRODUCTS.set(self.0);
        }
    }
    let _restore = Restore(PRODUCTS.replace(precision));
    work()
}

/// The type that is asked for.
pub(crate) fn products() -> Precision {
    PRODUCTS.get()
}

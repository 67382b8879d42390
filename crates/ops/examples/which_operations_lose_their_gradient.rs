//! Which operations lose their gradient? Asks each row of `OPS`: none of them.
//!
//!     cargo run -p mmc-ops --example which_operations_lose_their_gradient

use candle_core::{Device, Tensor, Var};
use mmc_ops::{Gradients, OPS};

#[allow(clippy::print_stdout, reason = "an example prints its answer")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<24} {:>6} {:>10} {:>12}", "operation", "inputs", "gradients", "norm of first");
    for operation in OPS {
        let variables: Vec<Var> = operation.shapes[0]
            .iter()
            .map(|shape| Var::from_tensor(&ramp(shape)?))
            .collect::<Result<_, _>>()?;
        let inputs: Vec<Tensor> = variables.iter().map(|var| var.as_tensor().clone()).collect();
        let mut gradients = Gradients::of(&inputs);
        gradients.add(&(operation.apply)(&inputs)?.sqr()?.sum_all()?)?;
        let reached = inputs.iter().filter(|input| gradients.get(input).is_some()).count();
        let norm = match gradients.get(&inputs[0]) {
            Some(gradient) => gradient.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt(),
            None => 0.0,
        };
        println!("{:<24} {:>6} {reached:>10} {norm:>12.4}", operation.name, inputs.len());
    }
    Ok(())
}

/// Numbers of this shape that differ from each other.
fn ramp(shape: &[usize]) -> candle_core::Result<Tensor> {
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|index| (index as f64 * 0.7).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

//! Pictures as patches, for ViLT and FLAVA: projection, positions resized to each picture, mask.

use candle_core::{DType, Device, Tensor};
use mmc_ops::linear;
use mmc_preprocess::ImageInput;

use crate::ModelError;
use crate::interpolation::Interpolation;
use crate::layers::Positions;
use crate::parameters::{Kind, Parameters};

/// Numbers set aside for a row of patches where positions key dropout masks.
const ROW_SPAN: usize = 1024;

/// The patches of a batch: how many rows and columns it has, and each picture within it.
pub(crate) struct PatchGrid {
    rows: usize,
    columns: usize,
    /// Real rows and columns of each picture, in patches.
    real: Vec<(usize, usize)>,
}

impl PatchGrid {
    /// The grid of a batch of pictures. A patch counts as real where the nearest-neighbour sample
    /// of the pixel mask does.
    pub(crate) fn of(image: &ImageInput, patch: usize) -> Result<Self, ModelError> {
        let (_, _, height, width) = image.pixel_values.dims4()?;
        let (rows, columns) = (height / patch, width / patch);
        if rows == 0 || columns == 0 {
            let problem = format!(
                "a picture of {height} × {width} pixels holds no patch of {patch} × {patch}; \
                 prepare it with the checkpoint's own processor"
            );
            return Err(ModelError::Input { problem });
        }
        let inside = |patches: usize, padded: usize, real: usize| {
            (0..patches).filter(|index| index * padded / patches < real).count()
        };
        let real = image
            .sizes
            .iter()
            .map(|&(h, w)| (inside(rows, height, h), inside(columns, width, w)))
            .collect();
        Ok(Self { rows, columns, real })
    }

    /// `[batch, 1 + patches]`: 1 for the class token and real patches, 0 for padding.
    pub(crate) fn mask(&self, device: &Device) -> Result<Tensor, ModelError> {
        let length = 1 + self.rows * self.columns;
        let mut mask = Vec::with_capacity(self.real.len() * length);
        for &(rows, columns) in &self.real {
            mask.push(1_f32);
            for row in 0..self.rows {
                mask.extend(
                    (0..self.columns)
                        .map(|column| f32::from(u8::from(row < rows && column < columns))),
                );
            }
        }
        Ok(Tensor::from_vec(mask, (self.real.len(), length), device)?)
    }

    /// A number for the class token and for each place of a patch, from `first` on.
    pub(crate) fn positions(&self, first: u32) -> Positions {
        let place = |row: usize, column: usize| first + 1 + (row * ROW_SPAN + column) as u32;
        std::iter::once(first)
            .chain(
                (0..self.rows)
                    .flat_map(|row| (0..self.columns).map(move |column| place(row, column))),
            )
            .collect()
    }

    /// Pixels `[batch, 3, height, width]` as `[batch, patches, 3 · patch²]`, a patch in the order
    /// (channel, row, column).
    pub(crate) fn cut(&self, pixels: &Tensor, patch: usize) -> Result<Tensor, ModelError> {
        let (batch, channels, height, width) = pixels.dims4()?;
        let (rows, columns) = (self.rows, self.columns);
        let mut pixels = pixels.to_dtype(DType::F32)?;
        if (height, width) != (rows * patch, columns * patch) {
            pixels = pixels.narrow(2, 0, rows * patch)?.narrow(3, 0, columns * patch)?;
        }
        let patches = pixels
            .reshape((batch, channels, rows, patch, columns * patch))?
            .reshape(vec![batch, channels, rows, patch, columns, patch])?
            .permute(vec![0, 2, 4, 1, 3, 5])?;
        Ok(patches.reshape((batch, rows * columns, channels * patch * patch))?)
    }

    /// For each picture, or once where all have the same size, the matrix
    /// `[patches of the batch, side²]` that resizes a square table of positions to the picture's
    /// own patches, 0 for padding.
    pub(crate) fn interpolation(
        &self,
        side: usize,
        kind: Interpolation,
        device: &Device,
    ) -> Result<Tensor, ModelError> {
        let same = self.real.windows(2).all(|pair| pair[0] == pair[1]);
        let shown = if same { &self.real[..1] } else { &self.real };
        let mut matrix = vec![0_f32; shown.len() * self.rows * self.columns * side * side];
        let mut rows = matrix.chunks_exact_mut(side * side);
        for &(real_rows, real_columns) in shown {
            for row in 0..self.rows {
                for column in 0..self.columns {
                    let Some(weights) = rows.next() else { continue };
                    if row < real_rows && column < real_columns {
                        kind.add((row, real_rows), (column, real_columns), side, weights);
                    }
                }
            }
        }
        let shape = (shown.len(), self.rows * self.columns, side * side);
        Ok(Tensor::from_vec(matrix, shape, device)?)
    }
}

/// The class token and the projected patches, with their positions.
pub(crate) struct PatchEmbeddings {
    class_token: Tensor, // [1, 1, hidden]
    positions: Tensor,   // [1, 1 + side², hidden]
    weight: Tensor,      // [hidden, 3, patch, patch]
    bias: Tensor,        // [hidden]
    side: usize,
    patch: usize,
    interpolation: Interpolation,
}

impl PatchEmbeddings {
    /// `prefix.{cls_token,position_embeddings,patch_embeddings.projection}`. `side`: patches along
    /// a side of the table of positions; `patch`: pixels of a patch's side.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        hidden: usize,
        side: usize,
        patch: usize,
        interpolation: Interpolation,
    ) -> Result<Self, ModelError> {
        let mut take = |name: &str, shape: &[usize], kind| {
            parameters.take(&format!("{prefix}.{name}"), shape, kind)
        };
        Ok(Self {
            class_token: take("cls_token", &[1, 1, hidden], Kind::Weight)?,
            positions: take("position_embeddings", &[1, 1 + side * side, hidden], Kind::Weight)?,
            weight: take(
                "patch_embeddings.projection.weight",
                &[hidden, 3, patch, patch],
                Kind::Weight,
            )?,
            bias: take("patch_embeddings.projection.bias", &[hidden], Kind::Bias)?,
            side,
            patch,
            interpolation,
        })
    }

    /// `[batch, 1 + patches, hidden]`.
    pub(crate) fn forward(
        &self,
        image: &ImageInput,
        grid: &PatchGrid,
    ) -> Result<Tensor, ModelError> {
        let hidden = self.bias.dim(0)?;
        let batch = image.pixel_values.dim(0)?;
        let pixels = grid.cut(&image.pixel_values, self.patch)?; // [batch, patches, 3 · patch²]
        let weight = self.weight.reshape((hidden, 3 * self.patch * self.patch))?;
        let patches = linear(&pixels, &weight, Some(&self.bias))?;

        let interpolation = grid.interpolation(self.side, self.interpolation, pixels.device())?;
        let (pictures, places, cells) = interpolation.dims3()?;
        let table = self.positions.narrow(1, 1, cells)?.squeeze(0)?; // [side², hidden]
        let positions = interpolation.reshape((pictures * places, cells))?.matmul(&table)?;
        let patches = patches.broadcast_add(&positions.reshape((pictures, places, hidden))?)?;

        let class_token = (&self.class_token + self.positions.narrow(1, 0, 1)?)?;
        let class_token = class_token.broadcast_as((batch, 1, hidden))?;
        Ok(Tensor::cat(&[class_token, patches], 1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(sizes: &[(usize, usize)], height: usize, width: usize) -> ImageInput {
        let shape = (sizes.len(), 3, height, width);
        let pixel_values = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        ImageInput { pixel_values, sizes: sizes.to_vec() }
    }

    #[test]
    fn padding_is_masked_by_patch() {
        let grid = PatchGrid::of(&input(&[(16, 8), (8, 24)], 16, 24), 8).unwrap();
        let mask = grid.mask(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(mask[0], [1., 1., 0., 0., 1., 0., 0.]);
        assert_eq!(mask[1], [1., 1., 1., 1., 0., 0., 0.]);
        assert!(PatchGrid::of(&input(&[(4, 8)], 4, 8), 8).is_err());
    }

    #[test]
    fn positions_do_not_depend_on_the_padding() {
        let wide = PatchGrid::of(&input(&[(8, 24)], 8, 24), 8).unwrap().positions(40);
        let tall = PatchGrid::of(&input(&[(16, 8)], 16, 8), 8).unwrap().positions(40);
        assert_eq!(*wide, [40, 41, 42, 43]);
        assert_eq!(*tall, [40, 41, 41 + 1024]);
    }

    #[test]
    fn a_table_of_the_right_size_is_kept() {
        let grid = PatchGrid::of(&input(&[(16, 16)], 16, 16), 8).unwrap();
        let identity = Tensor::eye(4, DType::F32, &Device::Cpu).unwrap();
        for kind in [Interpolation::AlignedBilinear, Interpolation::Bicubic] {
            let matrix = grid.interpolation(2, kind, &Device::Cpu).unwrap().squeeze(0).unwrap();
            assert_eq!(matrix.to_vec2::<f32>().unwrap(), identity.to_vec2::<f32>().unwrap());
        }
    }
}

//! Pictures as patches: projection, and positions resized to each picture. Padding is left out.

use candle_core::{DType, Tensor};
use mmc_ops::{Sequences, linear};
use mmc_preprocess::ImageInput;

use crate::ModelError;
use crate::interpolation::Interpolation;
use crate::packing::picked;
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
        let (pictures, _, height, width) = image.pixel_values.dims4()?;
        let (rows, columns) = (height / patch, width / patch);
        if image.sizes.len() != pictures || columns >= ROW_SPAN {
            let problem = format!(
                "{pictures} pictures of {columns} patches a row have {} sizes; expected one each, \
                 and fewer than {ROW_SPAN} patches a row",
                image.sizes.len()
            );
            return Err(ModelError::Input { problem });
        }
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

    /// Each picture's class token and patches, numbered by their places from `first` on.
    pub(crate) fn sequences(&self, first: u32) -> Result<Sequences, ModelError> {
        let lengths: Vec<usize> =
            self.real.iter().map(|(rows, columns)| 1 + rows * columns).collect();
        let mut numbers = Vec::with_capacity(lengths.iter().sum());
        for &(rows, columns) in &self.real {
            numbers.push(first);
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
            numbers
                .extend(places.map(|(row, column)| first + 1 + (row * ROW_SPAN + column) as u32));
        }
        Ok(Sequences::with_positions(&lengths, numbers)?)
    }

    /// For each token of [`PatchGrid::sequences`] its place among a class token, at 0, and the
    /// real patches of all pictures behind it.
    pub(crate) fn with_class_token(&self) -> Vec<u32> {
        let mut places = Vec::new();
        let mut next = 1;
        for &(rows, columns) in &self.real {
            let end = next + (rows * columns) as u32;
            places.push(0);
            places.extend(next..end);
            next = end;
        }
        places
    }

    /// The real patches of pixels `[batch, 3, height, width]`: `[patches, 3 · patch²]`, a patch in
    /// the order (channel, row, column).
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
        let patches = patches.reshape((batch * rows * columns, channels * patch * patch))?;
        if self.real.iter().all(|&real| real == (rows, columns)) {
            return Ok(patches);
        }
        let mut real = Vec::new();
        for (picture, &(real_rows, real_columns)) in self.real.iter().enumerate() {
            for row in 0..real_rows {
                let first = (picture * rows + row) * columns;
                real.extend((first..first + real_columns).map(|place| place as u32));
            }
        }
        Ok(patches.index_select(&Tensor::new(real, patches.device())?, 0)?)
    }

    /// The matrix `[patches, side²]` that resizes a square table of positions to each picture's own
    /// patches; `None` where every picture has as many as the table.
    fn interpolation(&self, side: usize, kind: Interpolation) -> Option<Vec<f32>> {
        if self.real.iter().all(|&real| real == (side, side)) {
            return None;
        }
        let patches: usize = self.real.iter().map(|(rows, columns)| rows * columns).sum();
        let mut matrix = vec![0_f32; patches * side * side];
        let mut lines = matrix.chunks_exact_mut(side * side);
        for &(rows, columns) in &self.real {
            for place in 0..rows * columns {
                if let Some(weights) = lines.next() {
                    kind.add((place / columns, rows), (place % columns, columns), side, weights);
                }
            }
        }
        Some(matrix)
    }
}

/// The position of each class token and patch `[tokens, hidden]`, from a table
/// `[1 + side², hidden]`.
pub(crate) fn position_rows(
    table: &Tensor,
    grid: &PatchGrid,
    side: usize,
    kind: Interpolation,
) -> Result<Tensor, ModelError> {
    let Some(matrix) = grid.interpolation(side, kind) else {
        let places = grid.with_class_token();
        let cells = (side * side) as u32;
        let of = |place: &u32| if *place == 0 { 0 } else { 1 + (place - 1) % cells };
        return picked(table, &places.iter().map(of).collect::<Vec<u32>>());
    };
    let cells = side * side;
    let matrix = Tensor::from_vec(matrix, ((), cells), table.device())?;
    let patches = matrix.matmul(&table.narrow(0, 1, cells)?)?; // [patches, hidden]
    let rows = Tensor::cat(&[table.narrow(0, 0, 1)?, patches], 0)?;
    picked(&rows, &grid.with_class_token())
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

    /// `[tokens, hidden]`.
    pub(crate) fn forward(
        &self,
        image: &ImageInput,
        grid: &PatchGrid,
    ) -> Result<Tensor, ModelError> {
        let hidden = self.bias.dim(0)?;
        let pixels = image.pixel_values.to_device(self.weight.device())?;
        let pixels = grid.cut(&pixels, self.patch)?; // [patches, 3 · patch²]
        let weight = self.weight.reshape((hidden, 3 * self.patch * self.patch))?;
        let patches = linear(&pixels, &weight, Some(&self.bias))?;
        let class_token = self.class_token.squeeze(0)?; // [1, hidden]
        let states = picked(&Tensor::cat(&[class_token, patches], 0)?, &grid.with_class_token())?;
        let table = self.positions.squeeze(0)?; // [1 + side², hidden]
        Ok((states + position_rows(&table, grid, self.side, self.interpolation)?)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn input(sizes: &[(usize, usize)], height: usize, width: usize) -> ImageInput {
        let shape = (sizes.len(), 3, height, width);
        let pixel_values = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        ImageInput { pixel_values, sizes: sizes.to_vec() }
    }

    #[test]
    fn padding_is_left_out() {
        let mut input = input(&[(16, 8), (8, 24)], 16, 24);
        // Each pixel says which patch of which picture it is of.
        let values = (0..2 * 3 * 16 * 24).map(|index| {
            let (picture, row, column) = (index / (3 * 16 * 24), index / 24 % 16, index % 24);
            (picture * 6 + row / 8 * 3 + column / 8) as f32
        });
        let values: Vec<f32> = values.collect();
        input.pixel_values = Tensor::from_vec(values, (2, 3, 16, 24), &Device::Cpu).unwrap();
        let grid = PatchGrid::of(&input, 8).unwrap();
        let patches = grid.cut(&input.pixel_values, 8).unwrap().to_vec2::<f32>().unwrap();
        let expected = [0.0, 3.0, 6.0, 7.0, 8.0].map(|number| vec![number; 3 * 64]);
        assert_eq!(patches, expected);
        assert_eq!(grid.with_class_token(), [0, 1, 2, 0, 3, 4, 5]);
        assert!(PatchGrid::of(&super::tests::input(&[(4, 8)], 4, 8), 8).is_err());
    }

    #[test]
    fn numbers_do_not_depend_on_the_padding() {
        let wide = PatchGrid::of(&input(&[(8, 24)], 8, 24), 8).unwrap().sequences(40).unwrap();
        let both = input(&[(8, 24), (16, 8)], 16, 24);
        let both = PatchGrid::of(&both, 8).unwrap().sequences(40).unwrap();
        assert_eq!(wide.positions(), [40, 41, 42, 43]);
        assert_eq!(both.positions(), [40, 41, 42, 43, 40, 41, 41 + 1024]);
    }

    /// A resize to the table's own size is no change.
    #[test]
    fn a_table_of_the_right_size_is_kept() {
        let table: Vec<f32> = (0..10).map(|value| value as f32).collect();
        let table = Tensor::from_vec(table, (5, 2), &Device::Cpu).unwrap();
        let rows = |sizes: &[(usize, usize)], kind| {
            let grid = PatchGrid::of(&input(sizes, 16, 24), 8).unwrap();
            position_rows(&table, &grid, 2, kind).unwrap().to_vec2::<f32>().unwrap()
        };
        for kind in [Interpolation::AlignedBilinear, Interpolation::Bicubic] {
            let same = rows(&[(16, 16)], kind);
            assert_eq!(same, table.to_vec2::<f32>().unwrap());
            let mixed = rows(&[(16, 16), (16, 24)], kind);
            assert_eq!(mixed[..5], same);
        }
    }
}

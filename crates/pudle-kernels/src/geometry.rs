//! The places of filters on an image, and the strips of positions that a pass is cut into.

/// Shape of a convolutional problem. A signal is an image of width 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Channels `C`.
    pub channels: usize,
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// Number of filters `p`.
    pub atoms: usize,
    /// Height and width of a filter.
    pub kernel: [usize; 2],
    /// Pixels between positions, down and across.
    pub stride: [usize; 2],
}

/// Neighbouring rows of positions. The filters of a strip reach into the pixels of the next strip and no
/// further, so that strips can run side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip {
    /// Rows of positions.
    pub rows: usize,
    /// First row of the image that the filters touch.
    pub top: usize,
    /// Rows of the image that the filters touch.
    pub window: usize,
    /// Rows of the window above the next strip. A window's other rows are shared with the next strip.
    pub owned: usize,
}

/// A run of pixels that are neighbours in an image and in a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Start of the run in the image, from the first pixel of the patch.
    pub offset: usize,
    /// Start of the run in the filter.
    pub tap: usize,
    /// How many pixels.
    pub length: usize,
}

/// Least number of positions of a strip, if the image has as many: enough work for a task.
const POSITIONS: usize = 120;

impl Geometry {
    /// Rows and columns of positions.
    pub fn positions(&self) -> [usize; 2] {
        [
            (self.height - self.kernel[0]) / self.stride[0] + 1,
            (self.width - self.kernel[1]) / self.stride[1] + 1,
        ]
    }

    /// Weights of a filter, its taps.
    pub fn taps(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Numbers from one row of an image to the next. The kernels store an image as `[H, C, W]`.
    pub fn pitch(&self) -> usize {
        self.channels * self.width
    }

    /// Numbers in an image.
    pub fn pixels(&self) -> usize {
        self.height * self.pitch()
    }

    /// The strips, from top to bottom. They depend on the shape alone, and so does the order of every sum.
    pub(crate) fn strips(&self) -> Vec<Strip> {
        let [rows, columns] = self.positions();
        let overlap = self.kernel[0].saturating_sub(self.stride[0]).div_ceil(self.stride[0]);
        let most = overlap.max(POSITIONS.div_ceil(columns)).max(1);
        (0..rows)
            .step_by(most)
            .map(|first| {
                let rows_here = most.min(rows - first);
                let window = (rows_here - 1) * self.stride[0] + self.kernel[0];
                let last = first + rows_here == rows;
                let owned = if last { window } else { rows_here * self.stride[0] };
                Strip {
                    rows: rows_here,
                    top: first * self.stride[0],
                    window,
                    owned: owned.min(window),
                }
            })
            .collect()
    }

    /// The runs of a patch in an image `[H, C, W]`, in the order of the taps: by row, then by channel,
    /// then by column.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let [height, width] = self.kernel;
        let mut runs: Vec<Run> = Vec::new();
        for row in 0..height {
            for channel in 0..self.channels {
                let offset = row * self.pitch() + channel * self.width;
                let tap = (row * self.channels + channel) * width;
                match runs.last_mut() {
                    Some(last) if last.offset + last.length == offset => last.length += width,
                    _ => runs.push(Run { offset, tap, length: width }),
                }
            }
        }
        runs
    }

    /// The places in a strip's window where its patches start, row by row.
    pub(crate) fn bases(&self, strip: &Strip) -> Vec<usize> {
        let [_, columns] = self.positions();
        let row = self.stride[0] * self.pitch();
        (0..strip.rows)
            .flat_map(|y| (0..columns).map(move |x| y * row + x * self.stride[1]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(height: usize, width: usize, kernel: usize, stride: usize) -> Geometry {
        Geometry { channels: 2, height, width, atoms: 3, kernel: [kernel; 2], stride: [stride; 2] }
    }

    #[test]
    fn strips_reach_into_the_next_one_only() {
        for (height, width, kernel, stride) in
            [(129, 129, 9, 4), (40, 33, 7, 1), (23, 9, 5, 5), (64, 200, 11, 8), (7, 7, 7, 2)]
        {
            let geometry = geometry(height, width, kernel, stride);
            let strips = geometry.strips();
            assert_eq!(strips.iter().map(|s| s.rows).sum::<usize>(), geometry.positions()[0]);
            for (k, strip) in strips.iter().enumerate() {
                if let Some(next) = strips.get(k + 1) {
                    assert_eq!(strip.top + strip.rows * stride, next.top);
                    assert!(strip.owned <= strip.window && strip.top + strip.owned <= next.top);
                }
                if let Some(after) = strips.get(k + 2) {
                    assert!(strip.top + strip.window <= after.top);
                }
            }
        }
    }

    #[test]
    fn a_signal_of_one_channel_is_one_run() {
        let signal = Geometry {
            channels: 1,
            height: 50,
            width: 1,
            atoms: 3,
            kernel: [7, 1],
            stride: [2, 1],
        };
        let runs = signal.runs();
        assert_eq!((runs.len(), runs[0].length), (1, 7));
    }
}

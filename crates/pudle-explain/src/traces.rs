//! Pictures of signals.

use std::ops::Range;

use pudle_data::Image;

/// Height of a picture in pixels.
const HEIGHT: usize = 90;
/// Most channels that are drawn as lines. More are drawn as rows of pixels.
const MOST_LINES: usize = 6;
/// Half of the width of a line in pixels.
const THICK: f32 = 0.9;

const PAPER: [f32; 3] = [1.0, 1.0, 1.0];
const SHADE: [f32; 3] = [0.90, 0.93, 0.97];
const AXIS: [f32; 3] = [0.82, 0.82, 0.84];
const GREY: [f32; 3] = [0.42, 0.43, 0.46];
const BLACK: [f32; 3] = [0.08, 0.09, 0.11];
const ORANGE: [f32; 3] = [0.90, 0.42, 0.0];

/// A stretch of a recording and its reconstruction, `[C, n]` each.
pub(crate) struct Traces<'a> {
    pub seen: &'a [f32],
    pub rebuilt: &'a [f32],
    pub channels: usize,
}

impl Traces<'_> {
    /// The stretch in grey and its reconstruction in orange, on one scale. These samples are shaded.
    pub fn draw(&self, marked: &[Range<usize>], width: usize) -> Image {
        let mut canvas = Canvas::new(width);
        let samples = self.seen.len() / self.channels;
        let column = |sample: usize| sample * width / samples.max(1);
        for range in marked {
            canvas.shade(column(range.start)..column(range.end).min(width));
        }
        if self.channels > MOST_LINES {
            // The recording above, its reconstruction below.
            let most = largest(self.seen);
            canvas.rows(self.seen, self.channels, most, [0, HEIGHT / 2 - 2]);
            canvas.rows(self.rebuilt, self.channels, most, [HEIGHT / 2 + 2, HEIGHT]);
            return canvas.image();
        }
        let most = largest(self.seen).max(largest(self.rebuilt));
        canvas.lines(self.seen, self.channels, most, GREY);
        canvas.lines(self.rebuilt, self.channels, most, ORANGE);
        canvas.image()
    }
}

/// Waveforms `[C, n]`, one below the other on one scale. Of more than six channels, rows of pixels: blue is above zero, red below.
pub(crate) fn waveforms(values: &[f32], channels: usize, width: usize) -> Image {
    let mut canvas = Canvas::new(width);
    if channels > MOST_LINES {
        canvas.rows(values, channels, largest(values), [0, HEIGHT]);
    } else {
        canvas.lines(values, channels, largest(values), BLACK);
    }
    canvas.image()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()))
}

/// Pixels of three colours, row by row.
struct Canvas {
    width: usize,
    pixels: Vec<[f32; 3]>,
}

impl Canvas {
    fn new(width: usize) -> Self {
        Self { width, pixels: vec![PAPER; width * HEIGHT] }
    }

    fn shade(&mut self, columns: Range<usize>) {
        for row in self.pixels.chunks_exact_mut(self.width) {
            row[columns.clone()].fill(SHADE);
        }
    }

    /// A line for each channel, each in a band of its own.
    fn lines(&mut self, values: &[f32], channels: usize, most: f32, colour: [f32; 3]) {
        let samples = values.len() / channels;
        let band = HEIGHT as f32 / channels as f32;
        for (channel, row) in values.chunks_exact(samples).enumerate() {
            let middle = (channel as f32 + 0.5) * band;
            for pixel in &mut self.pixels[middle as usize * self.width..][..self.width] {
                if *pixel == PAPER || *pixel == SHADE {
                    *pixel = AXIS;
                }
            }
            // The value at a place between samples.
            let height = |x: f32| {
                let place = (x / (self.width as f32 - 1.0) * (samples as f32 - 1.0)).max(0.0);
                let k = (place as usize).min(samples - 1);
                let (a, b) = (row[k], row[(k + 1).min(samples - 1)]);
                middle - (a + (b - a) * (place - k as f32)) / most * (0.5 * band - THICK)
            };
            for x in 0..self.width {
                // What the line covers between the halves of a pixel on either side; a peak in it, too.
                let (left, right) = (x as f32 - 0.5, x as f32 + 0.5);
                let steps = (samples / self.width + 2).min(64);
                let ys =
                    (0..=steps).map(|k| height(left + (right - left) * k as f32 / steps as f32));
                let (low, high) = ys.fold((f32::MAX, f32::MIN), |(l, h), y| (l.min(y), h.max(y)));
                let rows =
                    (low - 2.0).max(0.0) as usize..((high + 3.0).max(0.0) as usize).min(HEIGHT);
                for y in rows {
                    let away = (low - y as f32).max(y as f32 - high).max(0.0);
                    let cover = (THICK + 0.5 - away).clamp(0.0, 1.0);
                    let pixel = &mut self.pixels[y * self.width + x];
                    let mixed = pixel.iter_mut().zip(colour);
                    mixed.for_each(|(p, c)| *p += cover * (c - *p));
                }
            }
        }
    }

    /// A row of pixels for each channel between two heights.
    fn rows(&mut self, values: &[f32], channels: usize, most: f32, [top, bottom]: [usize; 2]) {
        let samples = values.len() / channels;
        for y in top..bottom {
            let channel = (y - top) * channels / (bottom - top);
            for x in 0..self.width {
                let value = values[channel * samples + x * samples / self.width] / most;
                // From white to blue, or to red.
                let [less, none] = [1.0 - 0.55 * value.abs(), 1.0 - value.abs()];
                self.pixels[y * self.width + x] =
                    if value >= 0.0 { [none, none, less] } else { [less, none, none] };
            }
        }
    }

    fn image(self) -> Image {
        Image::from_fn(3, HEIGHT, self.width, |c, y, x| self.pixels[y * self.width + x][c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Darkness of a pixel.
    fn ink(image: &Image, x: usize, y: usize) -> f32 {
        let channel = image.height * image.width;
        1.0 - (0..3).map(|c| image.data[c * channel + y * image.width + x]).sum::<f32>() / 3.0
    }

    #[test]
    fn a_line_goes_through_its_values() {
        // A peak in the middle of two channels, of opposite sign.
        let values = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0];
        let image = waveforms(&values, 2, 101);
        assert_eq!((image.channels, image.height, image.width), (3, HEIGHT, 101));
        assert!(ink(&image, 50, 1) > 0.7 && ink(&image, 50, HEIGHT - 1) > 0.7);
        assert!(ink(&image, 0, HEIGHT / 4) > 0.7 && ink(&image, 5, 3) < 0.05);
    }

    #[test]
    fn many_channels_are_rows() {
        let mut values = vec![0.0; 9 * 10];
        values[4 * 10 + 5] = -2.0;
        let image = waveforms(&values, 9, 100);
        let size = HEIGHT * 100;
        let place = 45 * 100 + 55;
        let colour = [0, 1, 2].map(|c| image.data[c * size + place]);
        assert!(colour[0] > 0.4 && colour[1] < 0.01 && colour[2] < 0.01, "{colour:?}");
        assert_eq!(ink(&image, 5, 5), 0.0);
    }

    #[test]
    fn a_stretch_has_its_reconstruction_on_top() {
        let (seen, rebuilt) = (vec![1.0; 40], vec![0.0; 40]);
        let traces = Traces { seen: &seen, rebuilt: &rebuilt, channels: 1 };
        let image = traces.draw(std::slice::from_ref(&(10..20)), 80);
        let size = HEIGHT * 80;
        let at = |x: usize, y: usize| [0, 1, 2].map(|c| image.data[c * size + y * 80 + x]);
        let middle = at(40, HEIGHT / 2);
        assert!(middle[0] > 0.8 && middle[2] < 0.3, "orange at zero: {middle:?}");
        assert_eq!(at(30, 80), SHADE);
        assert_eq!(at(60, 80), PAPER);
    }
}

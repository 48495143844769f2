use pudle_kernels::*;
use std::time::Instant;
fn main() {
    let batch: usize = std::env::args().nth(1).map_or(1, |a| a.parse().unwrap());
    let lambda: f32 = std::env::args().nth(2).map_or(0.16, |a| a.parse().unwrap());
    let g = Geometry { channels: 1, height: 129, width: 129, atoms: 64, kernel: [9, 9], stride: [4, 4] };
    let mut s = 12345u64;
    let mut r = || { s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); ((s >> 40) as f32 / (1u64 << 24) as f32) - 0.5 };
    let x: Vec<f32> = (0..batch * g.pixels()).map(|_| r() * 0.7 + 0.5).collect();
    let mut atoms: Vec<f32> = (0..64 * 81).map(|_| r()).collect();
    for a in atoms.chunks_mut(81) { let n = a.iter().map(|v| v * v).sum::<f32>().sqrt(); a.iter_mut().for_each(|v| *v /= n); }
    let levels = [0.1 * lambda];
    let e = Encoder { atoms: &atoms, step: 0.1, levels: &levels, level_shape: [1, 1, 1] };
    let sch = Schedule::ista(15, Shrinkage::Soft);
    let time = |f: &mut dyn FnMut()| { let mut v: Vec<f64> = (0..60).map(|_| { let t = Instant::now(); f(); t.elapsed().as_secs_f64() * 1e3 }).collect(); v.sort_by(f64::total_cmp); v[30] };
    let (o, t) = conv_forward(g, &x, e, &sch, true);
    println!("active {:.3} bytes {}", o.code.iter().filter(|v| **v != 0.).count() as f64 / o.code.len() as f64, t.unwrap().bytes());
    println!("forward {:.3}", time(&mut || { conv_forward(g, &x, e, &sch, false); }));
    println!("forward rec {:.3}", time(&mut || { conv_forward(g, &x, e, &sch, true); }));
    println!("step {:.3}", time(&mut || { let (o, t) = conv_forward(g, &x, e, &sch, true); let err: Vec<f32> = o.reconstruction.iter().zip(&x).map(|(a, b)| a - b).collect(); t.unwrap().backward(&err, None, Wanted::default()); }));
}

//! probe
use pudle_kernels::*;
use std::time::Instant;
fn main() {
    let (m, p, b, t_) = (1000usize, 1500usize, 50usize, 100usize);
    let mut s = 12345u64;
    let mut r = || { s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); ((s >> 40) as f32 / (1u64 << 24) as f32) - 0.5 };
    let mut d: Vec<f32> = (0..m * p).map(|_| r()).collect();
    for j in 0..p { let n = (0..m).map(|k| d[k * p + j].powi(2)).sum::<f32>().sqrt(); (0..m).for_each(|k| d[k * p + j] /= n); }
    let mut x = vec![0f32; b * m];
    for i in 0..b { for _ in 0..10 { let j = ((r() + 0.5) * p as f32) as usize % p; let a = if r() > 0. { 1.5 } else { -1.5 }; (0..m).for_each(|k| x[i * m + k] += a * d[k * p + j]); } }
    let levels = [0.04f32];
    let e = Encoder { atoms: &d, step: 0.2, levels: &levels, level_shape: [1, 1, 1] };
    let sch = Schedule::ista(t_, Shrinkage::Soft);
    let time = |f: &mut dyn FnMut()| { let mut v: Vec<f64> = (0..15).map(|_| { let t = Instant::now(); f(); t.elapsed().as_secs_f64() * 1e3 }).collect(); v.sort_by(f64::total_cmp); v[1] };
    let (o, t) = dense_forward(m, &x, e, &sch, true);
    println!("active {:.4} bytes {}", o.code.iter().filter(|v| **v != 0.).count() as f64 / o.code.len() as f64, t.unwrap().bytes());
    println!("forward {:.3}", time(&mut || { dense_forward(m, &x, e, &sch, false); }));
    println!("step {:.3}", time(&mut || { let (o, t) = dense_forward(m, &x, e, &sch, true); let err: Vec<f32> = o.reconstruction.iter().zip(&x).map(|(a, b)| a - b).collect(); t.unwrap().backward(&err, None, Wanted::default()); }));
}

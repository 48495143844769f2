//! `pudle worker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use pudle_core::{Backend, serve};

use crate::arguments::words;
use crate::failure::Failure;
use crate::sharing::token;
use crate::terminal::say;

/// Serve this machine's devices to trainings on other machines, until Ctrl-C.
#[derive(clap::Args)]
pub struct Args {
    /// Address and port to listen on. Port 0 is a free one. An address that other machines reach needs a token.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7345")]
    listen: SocketAddr,
    /// File with the token that clients must show. It travels unencrypted: use a tunnel on networks that others read.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Backend whose devices are served: flex, wgpu or cuda.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    backend: Backend,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let token = args.token_file.as_deref().map_or(Ok(String::new()), token)?;
    serve(args.listen, &token, args.backend, |address, devices| {
        let devices = match devices {
            1 => "1 device".to_owned(),
            count => format!("{count} devices"),
        };
        say!("ws://{address} serves {devices} of {}", args.backend);
    })
}

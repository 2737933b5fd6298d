//! The `ferrohub` command: the one place that prints.
//!
//! Called by the binary and, through `_native.cli_main`, by the Python package's script of the same name.

mod attached;
mod c2d;
mod connection_string;
mod container_uri;
mod devices;
mod dps;
mod hub_to_ask;
mod monitor;
mod notifications;
mod output;
mod signals;
mod state_file;
mod up;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};
use notifications::Kind;

/// Azure IoT Hub for Python on a Rust core, with a local hub.
#[derive(Debug, Parser)]
#[command(name = "ferrohub", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a local hub until Ctrl-C
    Up(up::Up),
    /// Print the connection string of a device or module
    ConnectionString(connection_string::ConnectionStringOf),
    /// Print the address of a local hub's blob container, for imports and exports
    ContainerUri(container_uri::ContainerUri),
    /// Create, change or delete many devices
    #[command(subcommand)]
    Devices(devices::Devices),
    /// Send cloud-to-device messages
    #[command(subcommand)]
    C2d(c2d::CloudToDevice),
    /// Print what devices send, until Ctrl-C
    Monitor(Box<monitor::Monitor>),
    /// Print what became of messages to devices, as the hub gives feedback
    Feedback(notifications::Notifications),
    /// Print which files devices have uploaded, as the hub tells of them
    FileNotifications(notifications::Notifications),
    /// Say who may register with a local hub's provisioning service
    #[command(subcommand)]
    Dps(dps::Provisioning),
}

/// Run the command; the exit code is 0 for success, 1 for an error, 2 for bad arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. If nobody reads them, there is nobody to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    match execute(arguments.command) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            output::complain(&format!("ferrohub: {error}"));
            1
        }
    }
}

fn execute(command: Command) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .thread_name("ferrohub")
        .enable_all()
        .build()
        .map_err(Error::no_thread)?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Up(up) => up.run().await,
            Command::ConnectionString(command) => command.run().await.map(|()| 0),
            Command::ContainerUri(command) => command.run().await.map(|()| 0),
            Command::Devices(command) => command.run().await,
            Command::C2d(command) => command.run().await.map(|()| 0),
            Command::Monitor(command) => command.run().await.map(|()| 0),
            Command::Feedback(command) => command.run(Kind::Feedback).await.map(|()| 0),
            Command::FileNotifications(command) => command.run(Kind::Files).await.map(|()| 0),
            Command::Dps(command) => command.run().await.map(|()| 0),
        }
    });
    // A thread may still wait for the terminal; it ends with the process.
    runtime.shutdown_background();
    outcome
}

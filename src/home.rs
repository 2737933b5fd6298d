//! Where this machine keeps what the local hub and its clients share: the local CA and the state file.
//!
//! `FERROHUB_HOME`, else the user's data folder. Under sudo it is the invoking user's, so that a hub
//! started as root for the standard ports is trusted by that user's programs.

use std::env;
use std::path::PathBuf;

/// The local CA's certificate; clients trust it for loopback host names only.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The local CA's private key, mode 0600.
pub const CA_KEY: &str = "ca-key.pem";
/// What `ferrohub up` leaves while it runs, so that other commands find it.
pub const STATE_FILE: &str = "hub.json";

/// The folder of this user's shared files; it need not exist. `None` if the system names no home.
#[must_use]
pub fn data_dir() -> Option<PathBuf> {
    if let Some(folder) = variable("FERROHUB_HOME") {
        return Some(folder);
    }
    if let Some(home) = invoking_user_home() {
        return Some(home.join(".local/share/ferrohub"));
    }
    platform_data_dir().map(|folder| folder.join("ferrohub"))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(target_os = "windows")]
fn platform_data_dir() -> Option<PathBuf> {
    variable("LOCALAPPDATA")
}

#[cfg(target_os = "macos")]
fn platform_data_dir() -> Option<PathBuf> {
    variable("HOME").map(|home| home.join("Library/Application Support"))
}

#[cfg(not(any(target_os = "windows", target_os = "macos")))]
fn platform_data_dir() -> Option<PathBuf> {
    variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")))
}

/// The home of the user who called sudo, from the user database; `None` when not under sudo.
#[cfg(target_os = "linux")]
fn invoking_user_home() -> Option<PathBuf> {
    let user = env::var("SUDO_USER").ok().filter(|user| user != "root")?;
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user.as_str()))?;
    line.split(':').nth(5).map(PathBuf::from)
}

#[cfg(not(target_os = "linux"))]
fn invoking_user_home() -> Option<PathBuf> {
    None
}

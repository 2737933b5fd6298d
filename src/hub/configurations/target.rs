//! Whom a configuration targets.

use super::content::Kind;
use crate::hub::entity::Entity;
use crate::hub::error::HubError;
use crate::hub::query::{Condition, PreparedQuery};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// Everything that a target condition may look at.
const VISIBLE: [&str; 4] = ["deviceId", "moduleId", "tags", "properties.reported"];
const OF_DEVICES: &str = "select deviceId from devices";
/// What conditions on modules begin with.
const FROM: &str = "from ";

/// A target condition that was read.
#[derive(Debug)]
pub(super) struct Target {
    /// Reads the targets; nobody without one.
    query: Option<PreparedQuery>,
    /// Only IoT Edge devices.
    of_edge: bool,
    /// As of [`Self::counting`].
    text: String,
}

impl Target {
    /// Read a condition on devices, `*` for all of them, or `FROM devices.modules WHERE …`; an empty one targets nobody.
    ///
    /// # Errors
    /// 400 `InvalidConfigurationTargetCondition` if it can't be read, or isn't for this kind of content.
    pub(super) fn read(condition: &str, kind: Kind) -> Result<Self, HubError> {
        let (condition, of_edge) = (condition.trim(), kind == Kind::Edge);
        if condition.is_empty() {
            return Ok(Self { query: None, of_edge, text: String::new() });
        }
        let (query, text) = read(condition)?;
        if query.is_of_modules() && kind != Kind::Module {
            return Err(invalid("This content is of devices, and the condition of modules."));
        }
        if kind == Kind::Module && !query.is_of_modules() {
            return Err(invalid("The target of moduleContent is written 'FROM devices.modules WHERE …'."));
        }
        let text = match (of_edge, condition) {
            (false, _) => text,
            (true, "*") => format!("{OF_DEVICES} where capabilities.iotEdge = true"),
            (true, _) => format!("{OF_DEVICES} where capabilities.iotEdge = true and ({condition})"),
        };
        Ok(Self { query: Some(query), of_edge, text })
    }

    /// Whether this device or module is targeted.
    pub(super) fn selects(&self, id: &IdentityId, entity: &Entity) -> bool {
        (!self.of_edge || entity.identity.iot_edge)
            && self.query.as_ref().is_some_and(|query| query.selects(id, entity))
    }

    /// The query that counts the targets; empty if there is no condition.
    pub(super) fn counting(&self) -> &str {
        &self.text
    }
}

/// Why a target condition can't be used, as `testQueries` tells. IoT Hub takes `*` in configurations, but not in tests.
///
/// # Errors
/// 400 `InvalidConfigurationTargetCondition`.
pub(super) fn test(condition: &str) -> Result<(), HubError> {
    match condition.trim() {
        "" => Ok(()),
        "*" => Err(invalid("All devices are targeted by '*', which is no condition that could be tested.")),
        condition => read(condition).map(drop),
    }
}

/// The query that reads the targets, and its text.
fn read(condition: &str) -> Result<(PreparedQuery, String), HubError> {
    let of_modules = condition.get(..FROM.len()).is_some_and(|word| word.eq_ignore_ascii_case(FROM));
    let text = if of_modules {
        format!("select deviceId, moduleId {condition}")
    } else {
        Condition::read(condition).map_err(|error| invalid(error.message()))?;
        if condition == "*" { OF_DEVICES.to_owned() } else { format!("{OF_DEVICES} where {condition}") }
    };
    let query = PreparedQuery::read(&text).map_err(|error| invalid(error.message()))?;
    if of_modules && !query.is_of_modules() {
        return Err(invalid("A condition on devices is written without FROM."));
    }
    let hidden = query.looks_at().find(|path| !is_visible(path));
    match hidden {
        Some(path) => Err(invalid(&format!(
            "It looks at {path}, and may look at deviceId, moduleId, tags and properties.reported only."
        ))),
        None => Ok((query, text)),
    }
}

fn is_visible(path: &str) -> bool {
    let below =
        |name: &&str| path.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    VISIBLE.iter().any(below)
}

fn invalid(message: &str) -> HubError {
    HubError::new(ErrorCode::INVALID_CONFIGURATION_TARGET, message)
}

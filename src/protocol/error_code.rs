//! The error codes of IoT Hub: a six-digit number whose first three digits are the HTTP status, and a name.
//!
//! Number, name and status go out together (body, `iothub-errorcode` header, status line), and
//! Microsoft's C# client refuses answers in which they differ; so they exist only as one value.
//! <https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes>

/// An error code: compare with the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode {
    number: u32,
    name: &'static str,
}

impl ErrorCode {
    /// The `api-version` is missing or unknown.
    pub const INVALID_PROTOCOL_VERSION: Self = Self::new(400_001, "InvalidProtocolVersion");
    /// The operation can't be done in this way.
    pub const INVALID_OPERATION: Self = Self::new(400_003, "InvalidOperation");
    /// Something in the request breaks a rule.
    pub const ARGUMENT_INVALID: Self = Self::new(400_004, "ArgumentInvalid");
    /// A container can't be used for an import or export.
    pub const CONTAINER_REFUSED: Self = Self::new(400_008, "BlobContainerValidationError");
    /// A bulk operation names an identity twice.
    pub const DEFINED_MULTIPLE_TIMES: Self = Self::new(400_011, "DeviceDefinedMultipleTimes");
    /// Not all of a bulk operation could be done; the body says what.
    pub const BULK_FAILURE: Self = Self::new(400_013, "BulkRegistryOperationFailure");
    /// No file upload of the device has this correlation id.
    pub const INVALID_UPLOAD: Self = Self::new(400_015, "InvalidFileUploadCorrelationId");
    /// The time of a file upload is over.
    pub const EXPIRED_UPLOAD: Self = Self::new(400_016, "ExpiredFileUploadCorrelationId");
    /// It isn't said whether a file upload succeeded.
    pub const INVALID_UPLOAD_STATUS: Self = Self::new(400_019, "InvalidFileUploadCompletionStatus");
    /// The target condition of a configuration can't be used.
    pub const INVALID_CONFIGURATION_TARGET: Self = Self::new(400_401, "InvalidConfigurationTargetCondition");
    /// The content of a configuration breaks a rule.
    pub const INVALID_CONFIGURATION_CONTENT: Self = Self::new(400_402, "InvalidConfigurationContent");
    /// The query of a configuration's metric can't be used.
    pub const INVALID_CONFIGURATION_METRIC: Self =
        Self::new(400_404, "InvalidConfigurationCustomMetricsQuery");
    /// The patch of a digital twin is no JSON Patch.
    pub const INVALID_DIGITAL_TWIN_JSON_PATCH: Self = Self::new(400_505, "InvalidDigitalTwinJsonPatch");
    /// A value in the patch of a digital twin breaks a rule.
    pub const INVALID_DIGITAL_TWIN_PAYLOAD: Self = Self::new(400_506, "InvalidDigitalTwinPayload");
    /// The patch of a digital twin can't be applied.
    pub const INVALID_DIGITAL_TWIN_PATCH: Self = Self::new(400_507, "InvalidDigitalTwinPatch");
    /// A path in the patch of a digital twin is none of a property or component.
    pub const INVALID_DIGITAL_TWIN_PATH: Self = Self::new(400_508, "InvalidDigitalTwinPatchPath");
    /// The credentials are missing, wrong, expired or not enough.
    pub const UNAUTHORIZED_ACCESS: Self = Self::new(401_002, "IotHubUnauthorizedAccess");
    /// Another import or export is under way.
    pub const JOB_QUOTA_EXCEEDED: Self = Self::new(403_003, "JobQuotaExceeded");
    /// As many messages wait for the device as may.
    pub const QUEUE_DEPTH_EXCEEDED: Self = Self::new(403_004, "DeviceMaximumQueueDepthExceeded");
    /// As many file uploads of the device are under way as may be.
    pub const TOO_MANY_UPLOADS: Self = Self::new(403_006, "DeviceMaximumActiveFileUploadLimitExceeded");
    /// A message is to expire in the past, too late, or at no time at all.
    pub const INVALID_EXPIRY: Self = Self::new(403_009, "InvalidMessageExpiryTime");
    /// The device's status is `disabled`.
    pub const DEVICE_DISABLED: Self = Self::new(403_012, "DeviceDisabled");
    /// There is no such path.
    pub const NOT_FOUND: Self = Self::new(404_000, "GenericNotFound");
    /// There is no such device.
    pub const DEVICE_NOT_FOUND: Self = Self::new(404_001, "DeviceNotFound");
    /// There is no such module.
    pub const MODULE_NOT_FOUND: Self = Self::new(404_010, "ModuleNotFound");
    /// There is no such job.
    pub const JOB_NOT_FOUND: Self = Self::new(404_002, "JobNotFound");
    /// The provisioning service knows no such registration.
    pub const REGISTRATION_NOT_FOUND: Self = Self::new(404_204, "DeviceRegistrationNotFound");
    /// The device isn't connected, or doesn't listen.
    pub const DEVICE_NOT_ONLINE: Self = Self::new(404_103, "DeviceNotOnline");
    /// There is no such configuration.
    pub const CONFIGURATION_NOT_FOUND: Self = Self::new(404_301, "ConfigurationNotFound");
    /// The path exists, but not with this method.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(405_000, "GenericMethodNotAllowed");
    /// It is too late, or too early, for this.
    pub const NOT_ALLOWED_NOW: Self = Self::new(405_102, "OperationNotAllowedInCurrentState");
    /// A device of this name exists already.
    pub const DEVICE_ALREADY_EXISTS: Self = Self::new(409_001, "DeviceAlreadyExists");
    /// A job of this name exists already.
    pub const JOB_ALREADY_EXISTS: Self = Self::new(409_104, "JobAlreadyExists");
    /// A module of this name exists already on the device.
    pub const MODULE_ALREADY_EXISTS: Self = Self::new(409_301, "ModuleAlreadyExistsOnDevice");
    /// A configuration of this id exists already.
    pub const CONFIGURATION_ALREADY_EXISTS: Self = Self::new(409_401, "ConfigurationAlreadyExists");
    /// The `ETag` given is not the current one.
    pub const PRECONDITION_FAILED: Self = Self::new(412_001, "PreconditionFailed");
    /// Whoever settles a message does not have it any more.
    pub const MESSAGE_LOCK_LOST: Self = Self::new(412_002, "DeviceMessageLockLost");
    /// The body or message is larger than allowed.
    pub const MESSAGE_TOO_LARGE: Self = Self::new(413_001, "MessageTooLarge");
    /// The hub holds as many devices and modules as it can.
    pub const TOO_MANY_DEVICES: Self = Self::new(413_002, "TooManyDevices");
    /// The device holds as many modules as it can.
    pub const TOO_MANY_MODULES: Self = Self::new(413_003, "TooManyModulesOnDevice");
    /// The hub holds as many configurations as it can.
    pub const TOO_MANY_CONFIGURATIONS: Self = Self::new(413_101, "ConfigurationCountLimitExceeded");
    /// There are too many requests.
    pub const THROTTLED: Self = Self::new(429_001, "ThrottlingException");
    /// As many jobs are active as may be.
    pub const TOO_MANY_JOBS: Self = Self::new(429_004, "ThrottlingMaxActiveJobCountExceeded");
    /// The hub itself failed.
    pub const SERVER_ERROR: Self = Self::new(500_001, "ServerError");
    /// Documented for IoT Hub, but not in the local hub (a code of ours: Azure never sends it).
    pub const NOT_IMPLEMENTED: Self = Self::new(501_000, "GenericNotImplemented");
    /// The device's response to a direct method is none.
    pub const BAD_GATEWAY: Self = Self::new(502_000, "GenericBadGateway");
    /// The hub is starting or stopping.
    pub const SERVICE_UNAVAILABLE: Self = Self::new(503_001, "ServiceUnavailable");
    /// The device did not respond in time.
    pub const GATEWAY_TIMEOUT: Self = Self::new(504_101, "GatewayTimeout");

    const fn new(number: u32, name: &'static str) -> Self {
        Self { number, name }
    }

    /// The six digits.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The name, as in the header `iothub-errorcode`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        u16::try_from(self.number / 1000).unwrap_or(500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_digits_are_the_status() {
        assert_eq!(ErrorCode::MODULE_ALREADY_EXISTS.status(), 409);
        assert_eq!(ErrorCode::MODULE_ALREADY_EXISTS.name(), "ModuleAlreadyExistsOnDevice");
    }
}

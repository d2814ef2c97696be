"""Faults of uploads by a form."""

from eucabox.errors.fault import Fault

# Facts with a capital letter are the extra elements of an S3 error answer.


class InvalidPolicyDocument(Fault):
    code, text = "InvalidPolicyDocument", "Invalid Policy: {reason}"


class PolicyFailed(Fault):
    code, text = "AccessDenied", "Invalid according to Policy: {reason}"


class FormFieldMissing(Fault):
    code = "InvalidArgument"
    text = (
        "Bucket POST must contain a field named '{ArgumentName}'. If it is specified, please check"
        " the order of the fields: the file comes last."
    )


class FormFieldTwice(Fault):
    code = "InvalidArgument"
    text = "POST requires exactly one of each field, and '{ArgumentName}' comes twice."


class FormFieldInvalid(Fault):
    code, text = "InvalidArgument", "The field {ArgumentName} is not valid: {reason}"


class OneFileWanted(Fault):
    code = "InvalidArgument"
    text = "POST requires exactly one file upload per request."


class MalformedForm(Fault):
    code = "MalformedPOSTRequest"
    text = "The body of your POST request is not well-formed multipart/form-data."
    detail_text = "It is so because {reason}"


class FormWanted(Fault):
    code = "PreconditionFailed"
    text = "At least one of the pre-conditions you specified did not hold"
    detail_text = "{Condition}."


class FormFieldsTooLarge(Fault):
    code = "MaxPostPreDataLengthExceededError"
    text = (
        "Your POST request fields preceding the upload file were too large: {limit} bytes are"
        " possible. The file must be the field named 'file', and the last."
    )


class FormFileTooLarge(Fault):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed size"
    detail_text = "The policy allows {MaxSizeAllowed} bytes."


class FormFileTooSmall(Fault):
    code = "EntityTooSmall"
    text = "Your proposed upload is smaller than the minimum allowed size"
    detail_text = "The policy wants {MinSizeAllowed} bytes at least."

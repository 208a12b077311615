//! The environment of a command: each variable has the one thing that its type says.

use meros_proto::v1;
use meros_proto::v1::environment::variable::Type;
use meros_proto::v1::secret;

/// What is wrong with `command`, if anything.
pub(super) fn check(command: &v1::CommandInfo) -> Result<(), String> {
    let variables = command.environment.iter().flat_map(|environment| &environment.variables);
    variables.into_iter().try_for_each(variable)
}

fn variable(variable: &v1::environment::Variable) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("Environment variable '{}' {why}", variable.name()));
    match variable.r#type() {
        Type::Unknown => wrong("of type 'UNKNOWN' is not allowed"),
        Type::Value if variable.secret.is_some() => {
            wrong("of type 'VALUE' must not have a secret set")
        }
        Type::Value if variable.value.is_none() => wrong("of type 'VALUE' must have a value set"),
        Type::Secret if variable.value.is_some() => {
            wrong("of type 'SECRET' must not have a value set")
        }
        Type::Value => Ok(()),
        Type::Secret => match &variable.secret {
            None => wrong("of type 'SECRET' must have a secret set"),
            Some(secret) => match self::secret(secret) {
                Ok(()) => Ok(()),
                Err(why) => wrong(&format!("specifies an invalid secret: {why}")),
            },
        },
    }
}

/// What is wrong with `secret`, if anything.
pub(super) fn secret(secret: &v1::Secret) -> Result<(), String> {
    let (reference, value) = (secret.reference.is_some(), secret.value.is_some());
    match secret.r#type() {
        secret::Type::Reference if reference && !value => Ok(()),
        secret::Type::Reference => {
            Err("type 'REFERENCE' takes a reference and no value".to_owned())
        }
        secret::Type::Value if value && !reference => Ok(()),
        secret::Type::Value => Err("type 'VALUE' takes a value and no reference".to_owned()),
        secret::Type::Unknown => Err("the type is unset or unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_what_its_type_says_and_nothing_else() {
        let reference = v1::secret::Reference { name: Some("s".to_owned()), key: None };
        let good_secret = v1::Secret {
            r#type: Some(secret::Type::Reference.into()),
            reference: Some(reference),
            value: None,
        };
        let bad_secret = v1::Secret { reference: None, ..good_secret.clone() };
        let value = Some("v".to_owned());
        let good = Some(good_secret);
        for (kind, value, secret, valid) in [
            (None, value.clone(), None, true),
            (None, None, None, false),
            (Some(Type::Value), value.clone(), None, true),
            (Some(Type::Value), value.clone(), good.clone(), false),
            (Some(Type::Secret), None, good.clone(), true),
            (Some(Type::Secret), None, None, false),
            (Some(Type::Secret), None, Some(bad_secret), false),
            (Some(Type::Secret), value.clone(), good, false),
            (Some(Type::Unknown), value, None, false),
        ] {
            let variable = v1::environment::Variable {
                name: Some("N".to_owned()),
                r#type: kind.map(Into::into),
                value,
                secret,
            };
            let environment = v1::Environment { variables: vec![variable.clone()] };
            let command = v1::CommandInfo { environment: Some(environment), ..Default::default() };
            assert_eq!(check(&command).is_ok(), valid, "{variable:?}");
        }
    }
}

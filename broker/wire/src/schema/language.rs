//! The language of the files in `messages/`. How it reads is told in the crate's documentation.
//!
//! `messages!` turns a schema into a plain struct with a default, and into code that writes and
//! reads it at any version. It decides nothing: it calls [`Field`](super::Field) once for every
//! field, in the order of the schema.

/// Defines requests, responses and the structs in them.
macro_rules! messages {
    () => {};

    (
        $(#[$attribute:meta])*
        struct $name:ident { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        $crate::schema::structure! { $(#[$attribute])* $name { $($fields)* } }
        $crate::schema::messages! { $($rest)* }
    };

    (
        $(#[$attribute:meta])*
        message $name:ident: key $key:literal, versions $min:literal - $max:literal,
            flexible $flexible:literal + { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        $crate::schema::structure! { $(#[$attribute])* $name { $($fields)* } }

        impl $crate::schema::Message for $name {
            const KEY: i16 = $key;
            const NAME: &'static str = stringify!($name);
            const VERSIONS: $crate::Versions = $crate::Versions::new($min, $max);
            const FLEXIBLE: $crate::Versions = $crate::Versions::since($flexible);
        }

        $crate::schema::messages! { $($rest)* }
    };
}

/// One struct of `messages!`.
macro_rules! structure {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $(
                $(#[$field_attribute:meta])*
                $field:ident: $type:ty [ $($schema:tt)+ ] $(= $default:expr)?;
            )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_attribute])* pub $field: $type, )*
        }

        #[allow(non_upper_case_globals, reason = "a field's schema has the name of the field")]
        impl $name {
            $(
                const $field: $crate::schema::Field<$type> = $crate::schema::field!(
                    concat!(stringify!($name), ".", stringify!($field)),
                    || $crate::schema::default_of!($type $(, $default)?),
                    $($schema)+
                );
            )*
        }

        const _: () = $crate::schema::assert_tags_ascend(&[$( $name::$field.tag ),*]);

        impl Default for $name {
            fn default() -> $name {
                $name { $( $field: $name::$field.default(), )* }
            }
        }

        impl $crate::value::Value for $name {
            fn schema_default() -> $name {
                $name::default()
            }

            fn size_bytes_min(format: $crate::value::Format) -> usize {
                let fields = [$( $name::$field.size_bytes_min(format) ),*];
                fields.iter().sum::<usize>() + usize::from(format.flexible)
            }

            fn encode(
                &self,
                out: &mut $crate::output::Output,
                format: $crate::value::Format,
            ) -> Result<(), $crate::FieldError<$crate::EncodeFault>> {
                $( $name::$field.encode_untagged(&self.$field, out, format)?; )*
                if format.flexible {
                    let are_set = [$( $name::$field.is_tagged_and_set(&self.$field, format) ),*];
                    out.put_unsigned_varint(are_set.map(u32::from).iter().sum());
                    $( $name::$field.encode_tagged(&self.$field, out, format)?; )*
                }
                Ok(())
            }

            fn decode(
                input: &mut $crate::input::Input<'_>,
                format: $crate::value::Format,
            ) -> Result<$name, $crate::FieldError<$crate::DecodeFault>> {
                let mut value = $name::default();
                $(
                    if $name::$field.is_untagged(format) {
                        value.$field = $name::$field.decode(input, format)?;
                    }
                )*
                if format.flexible {
                    let what = concat!(stringify!($name), " tagged fields");
                    $crate::schema::decode_tagged_fields(what, input, |tag, mut part| {
                        $(
                            if $name::$field.has_tag(tag, format) {
                                value.$field = $name::$field.decode_tagged(&mut part, format)?;
                            }
                        )*
                        Ok(())
                    })?;
                }
                Ok(value)
            }
        }

        impl $crate::value::Nullable for $name {
            fn nullable_size_bytes_min(_: $crate::value::Format) -> usize {
                1
            }

            fn encode_not_null(
                &self,
                out: &mut $crate::output::Output,
                format: $crate::value::Format,
            ) -> Result<(), $crate::FieldError<$crate::EncodeFault>> {
                $crate::value::put_is_struct(out);
                $crate::value::Value::encode(self, out, format)
            }

            fn encode_null(out: &mut $crate::output::Output, _: $crate::value::Format) {
                $crate::value::put_null_struct(out);
            }

            fn decode_nullable(
                input: &mut $crate::input::Input<'_>,
                format: $crate::value::Format,
            ) -> Result<Option<$name>, $crate::FieldError<$crate::DecodeFault>> {
                if $crate::value::is_struct(input)? {
                    return <$name as $crate::value::Value>::decode(input, format).map(Some);
                }
                Ok(None)
            }
        }

        #[cfg(test)]
        impl $crate::testing::Arbitrary for $name {
            fn arbitrary(
                random: &mut $crate::testing::Random,
                format: $crate::value::Format,
            ) -> $name {
                $name { $( $field: $name::$field.arbitrary(random, format), )* }
            }
        }
    };
}

/// The default in a field's schema, or that of its type.
macro_rules! default_of {
    ($type:ty) => {
        <$type as $crate::value::Value>::schema_default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

/// A field's schema, read from left to right: its versions, then what else is said of it.
macro_rules! field {
    (@ $field:expr;) => {
        $field
    };
    (@ $field:expr; , nullable $min:literal + $($rest:tt)*) => {
        $crate::schema::field!(@ $field.nullable($crate::Versions::since($min)); $($rest)*)
    };
    (@ $field:expr; , tag $tag:literal $($rest:tt)*) => {
        $crate::schema::field!(@ $field.tag($tag); $($rest)*)
    };
    (@ $field:expr; , ignorable $($rest:tt)*) => {
        $crate::schema::field!(@ $field.ignorable(); $($rest)*)
    };
    ($name:expr, $default:expr, $min:literal + $($rest:tt)*) => {
        $crate::schema::field!(
            @ $crate::schema::Field::new($name, $default, $crate::Versions::since($min)); $($rest)*
        )
    };
    ($name:expr, $default:expr, $min:literal - $max:literal $($rest:tt)*) => {
        $crate::schema::field!(
            @ $crate::schema::Field::new($name, $default, $crate::Versions::new($min, $max));
            $($rest)*
        )
    };
}

pub(crate) use {default_of, field, messages, structure};

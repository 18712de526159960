//! The options of a block and of its methods.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Result};

/// Options of the attribute on the block.
#[derive(Default)]
pub(crate) struct BlockOptions {
    /// Name of the class, `module.Class`.
    pub(crate) name: Option<LitStr>,
    /// True for `#[netref::service]`.
    pub(crate) service: bool,
    /// The user writes the `Service` implementation.
    pub(crate) lifecycle: bool,
}

impl BlockOptions {
    pub(crate) fn parse_object(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
            return Ok(());
        }
        Err(meta.error("the only option of an object is `name = \"module.Class\"`"))
    }

    pub(crate) fn parse_service(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("lifecycle") {
            self.lifecycle = true;
            return Ok(());
        }
        if meta.path.is_ident("name") {
            return self.parse_object(meta);
        }
        Err(meta.error("the options of a service are `name = \"module.Class\"` and `lifecycle`"))
    }
}

/// Options of a method, and what else its attributes say.
#[derive(Default)]
pub(crate) struct MethodOptions {
    pub(crate) skip: bool,
    pub(crate) get: bool,
    pub(crate) set: bool,
    pub(crate) name: Option<LitStr>,
    /// The documentation, as the peer is told it.
    pub(crate) doc: String,
    /// `#[cfg(…)]`, to be repeated wherever the method is mentioned.
    pub(crate) cfg: Vec<Attribute>,
}

impl MethodOptions {
    /// Reads the options and takes `#[netref(…)]` out of the attributes.
    pub(crate) fn take(attrs: &mut Vec<Attribute>) -> Result<Self> {
        let (ours, others): (Vec<_>, Vec<_>) =
            attrs.drain(..).partition(|attr| attr.path().is_ident("netref"));
        *attrs = others;
        let mut options = Self {
            doc: documentation(attrs),
            cfg: attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect(),
            ..Self::default()
        };
        for attr in ours {
            attr.parse_nested_meta(|meta| options.parse(&meta))?;
        }
        Ok(options)
    }

    fn parse(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("skip") {
            self.skip = true;
        } else if meta.path.is_ident("get") {
            self.get = true;
        } else if meta.path.is_ident("set") {
            self.set = true;
        } else if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else {
            return Err(meta.error("the options of a method are `skip`, `get`, `set` and `name = \"…\"`"));
        }
        if (self.get && self.set) || (self.skip && (self.get || self.set || self.name.is_some())) {
            return Err(meta.error("these options contradict each other"));
        }
        Ok(())
    }
}

/// What the `///` lines say, without the space that each begins with.
fn documentation(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc")).filter_map(|attr| {
        match &attr.meta.require_name_value().ok()?.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        }
    });
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

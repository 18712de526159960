//! What a block exposes: each function, checked and described.

use std::collections::HashSet;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericParam, ImplItemFn, LitStr, Pat, PatType, Receiver, ReceiverKind, Result,
    Safety, Type,
};

use crate::attributes::MethodOptions;

/// A function of the block that peers can reach.
pub(crate) struct Exposed {
    pub(crate) kind: Kind,
    /// The function.
    pub(crate) function: Ident,
    /// What peers call it.
    pub(crate) name: LitStr,
    pub(crate) doc: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) is_async: bool,
    pub(crate) cfg: Vec<Attribute>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Get,
    Set,
}

pub(crate) struct Parameter {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) kind: ParameterKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Required,
    /// `Option<T>`: may be left out.
    Optional,
    /// `&str`, `&[T]`: owned by the dispatch and borrowed by the method.
    Borrowed,
    /// `Args`: all that is left.
    Rest,
}

impl Exposed {
    /// Describes a function, unless it is not exposed. Takes `#[netref(…)]` off it.
    pub(crate) fn of(item: &mut ImplItemFn) -> Result<Option<Self>> {
        let options = MethodOptions::take(&mut item.attrs)?;
        let mut inputs = item.sig.inputs.iter();
        let Some(FnArg::Receiver(receiver)) = inputs.next().filter(|_| !options.skip) else {
            let marked = options.get || options.set || options.name.is_some();
            return if marked { Err(Error::new(item.sig.ident.span(), NO_RECEIVER)) } else { Ok(None) };
        };
        check_receiver(receiver)?;
        check_signature(item)?;
        let parameters = parameters(inputs)?;
        let kind = match (options.get, options.set) {
            (true, _) => Kind::Get,
            (_, true) => Kind::Set,
            _ => Kind::Method,
        };
        let name = options.name.unwrap_or_else(|| default_name(kind, &item.sig.ident));
        let function = item.sig.ident.clone();
        let is_async = item.sig.asyncness.is_some();
        let exposed = Self { kind, function, name, doc: options.doc, parameters, is_async, cfg: options.cfg };
        exposed.check_property()?;
        Ok(Some(exposed))
    }

    /// True for what `repr` or `str` shows, which is not a method on the wire.
    pub(crate) fn is_text(&self) -> bool {
        self.kind == Kind::Method && ["__repr__", "__str__"].contains(&self.name.value().as_str())
    }

    fn check_property(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(self.function.span(), message));
        if self.is_async && (self.kind != Kind::Method || self.is_text()) {
            return wrong("only methods can be `async`: the peer waits for everything else");
        }
        match (self.kind, self.parameters.len()) {
            (Kind::Get, 1..) => wrong("a property is read without arguments"),
            (Kind::Set, 0 | 2..) => wrong("a property is set to one value: take one parameter"),
            (Kind::Method, 1..) if self.is_text() => wrong("this takes no arguments and returns a `String`"),
            _ => Ok(()),
        }
    }
}

fn parameters<'a>(inputs: impl Iterator<Item = &'a FnArg>) -> Result<Vec<Parameter>> {
    let parameters = inputs.map(Parameter::of).collect::<Result<Vec<_>>>()?;
    if let Some(early) = parameters.iter().rev().skip(1).find(|one| one.kind == ParameterKind::Rest) {
        return Err(Error::new(early.name.span(), "`Args` takes all that is left: make it the last"));
    }
    let mut names = HashSet::new();
    match parameters.iter().find(|one| !names.insert(one.public_name())) {
        Some(twice) => {
            Err(Error::new(twice.name.span(), "another parameter has this name for peers already"))
        }
        None => Ok(parameters),
    }
}

impl Parameter {
    fn of(input: &FnArg) -> Result<Self> {
        let FnArg::Typed(PatType { pat, ty, .. }) = input else {
            return Err(Error::new(input.span(), "only the first parameter is a receiver"));
        };
        let Pat::Ident(pattern) = &**pat else {
            return Err(Error::new(
                pat.span(),
                "give the parameter a plain name: peers may pass it by that name",
            ));
        };
        let kind = match &**ty {
            Type::Reference(reference) if reference.mutability.is_some() => {
                return Err(Error::new(ty.span(), "an argument of a peer cannot be borrowed mutably"));
            }
            Type::Reference(_) => ParameterKind::Borrowed,
            Type::Path(path) => match path.path.segments.last() {
                Some(last) if last.ident == "Option" => ParameterKind::Optional,
                Some(last) if last.ident == "Args" => ParameterKind::Rest,
                _ => ParameterKind::Required,
            },
            Type::ImplTrait(_) => {
                return Err(Error::new(ty.span(), "name the type: a peer's argument is converted to it"));
            }
            _ => ParameterKind::Required,
        };
        Ok(Self { name: pattern.ident.clone(), ty: (**ty).clone(), kind })
    }

    /// The name for peers.
    pub(crate) fn public_name(&self) -> String {
        let name = self.name.unraw().to_string();
        name.trim_start_matches('_').to_owned()
    }
}

const NO_RECEIVER: &str = "only functions with `&self` are exposed";

fn check_receiver(receiver: &Receiver) -> Result<()> {
    let message = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return Ok(()),
        ReceiverKind::Reference(_, _, Some(_)) => {
            "an exposed method takes `&self`: peers may call it from several threads at once, and call back while it \
             runs; keep what changes in atomics or behind a `Mutex`, or mark the method `#[netref(skip)]`"
        }
        ReceiverKind::Typed(..) => {
            "an exposed method takes `&self`; to hand out the object itself, make it with `Arc::new_cyclic` and keep the \
             `Weak` (or mark the method `#[netref(skip)]`)"
        }
        _ => {
            "an exposed method takes `&self`: the object stays, for its next call (or mark the method \
             `#[netref(skip)]`)"
        }
    };
    Err(Error::new(receiver.span(), message))
}

fn check_signature(item: &ImplItemFn) -> Result<()> {
    let sig = &item.sig;
    if let Safety::Unsafe(token) = &sig.safety {
        return Err(Error::new(
            token.span(),
            "a peer cannot keep an `unsafe` contract: mark it `#[netref(skip)]`",
        ));
    }
    if let Some(generic) = sig.generics.params.iter().find(|one| !matches!(one, GenericParam::Lifetime(_))) {
        return Err(Error::new(
            generic.span(),
            "an exposed method cannot be generic, since a peer names no types: take a `Value`, or mark the method \
             `#[netref(skip)]`",
        ));
    }
    Ok(())
}

fn default_name(kind: Kind, function: &Ident) -> LitStr {
    let name = function.unraw().to_string();
    let name = match kind {
        Kind::Set => name.strip_prefix("set_").unwrap_or(&name),
        _ => &name,
    };
    LitStr::new(name, function.span())
}

//! From the description of a block to its `Object` implementation.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, GenericArgument, ImplItem, ItemImpl, Lifetime, LitStr, PathArguments, Result, Token,
    Type,
};

use crate::attributes::BlockOptions;
use crate::exposed::{Exposed, Kind, Parameter, ParameterKind};

/// `impl Type { … }`
pub(crate) struct Block(ItemImpl);

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WANTED: &str = "this goes on an `impl Type { … }` block, whose methods peers can then call";
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        // Such a block may still have a mistake in it.
        let is_block = ahead.peek(Token![impl]);
        let block = input.parse::<ItemImpl>().map_err(|error| match is_block {
            true => error,
            false => Error::new(error.span(), WANTED),
        })?;
        match &block.trait_ {
            Some((path, _)) => Err(Error::new(path.span(), WANTED)),
            None => Ok(Self(block)),
        }
    }
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// The implementations made from a block. Takes `#[netref(…)]` off its functions.
pub(crate) fn expand(Block(block): &mut Block, options: &BlockOptions) -> Result<TokenStream> {
    let exposed = find_exposed(block)?;
    let ty = &block.self_ty;
    if let Some(lifetime) = borrowed(ty) {
        return Err(Error::new(
            lifetime.span(),
            "an object lives for as long as a peer wants it, so it borrows nothing: own what it needs, or share it in an `Arc`",
        ));
    }
    let (generics, _, bounds) = block.generics.split_for_impl();
    let items = [
        class(options, ty, &exposed)?,
        call_method(&exposed),
        start_method(&exposed),
        properties(&exposed),
        text(&exposed, "__repr__", "repr"),
        text(&exposed, "__str__", "str"),
    ];
    let service = (options.service && !options.lifecycle).then(|| {
        quote! { impl #generics ::netref::Service for #ty #bounds {} }
    });
    Ok(quote! {
        #[allow(deprecated, clippy::useless_conversion)]
        impl #generics ::netref::Object for #ty #bounds {
            #(#items)*
        }

        #service
    })
}

/// The lifetime of what a type borrows, if it does.
fn borrowed(ty: &Type) -> Option<&Lifetime> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Lifetime(lifetime) if lifetime.ident != "static" => Some(lifetime),
        _ => None,
    })
}

/// Every function that is exposed, in order. Reports all that is wrong, not only the first.
fn find_exposed(block: &mut ItemImpl) -> Result<Vec<Exposed>> {
    let mut exposed: Vec<Exposed> = Vec::new();
    let mut names = HashSet::new();
    let mut errors: Option<Error> = None;
    let mut report = |error: Error| match &mut errors {
        Some(errors) => errors.combine(error),
        None => errors = Some(error),
    };
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        match Exposed::of(function) {
            Ok(None) => {}
            Ok(Some(one)) => {
                // A property and its setter share a name; under `cfg`, other functions may.
                let is_new = names.insert((one.kind == Kind::Set, one.name.value()));
                if !is_new && one.cfg.is_empty() {
                    let message = format!("something else is exposed as `{}` already", one.name.value());
                    report(Error::new(one.name.span(), message));
                }
                exposed.push(one);
            }
            Err(error) => report(error),
        }
    }
    errors.map_or(Ok(exposed), Err)
}

/// `Object::class`: one description for all objects of the type.
fn class(options: &BlockOptions, ty: &Type, exposed: &[Exposed]) -> Result<TokenStream> {
    let name = match &options.name {
        Some(name) => quote! { #name },
        None => {
            let name = type_name(ty)?;
            quote! { ::std::concat!(::std::module_path!(), ".", #name).replace("::", ".") }
        }
    };
    let methods = exposed.iter().filter(|one| one.kind == Kind::Method).map(|one| {
        let Exposed { name, doc, cfg, .. } = one;
        quote! {
            #(#cfg)*
            let class = class.method(#name, #doc);
        }
    });
    Ok(quote! {
        fn class(&self) -> ::std::sync::Arc<::netref::Class> {
            static CLASS: ::std::sync::LazyLock<::std::sync::Arc<::netref::Class>> =
                ::std::sync::LazyLock::new(|| {
                    let class = ::netref::Class::new(#name);
                    #(#methods)*
                    ::std::sync::Arc::new(class)
                });
            ::std::sync::Arc::clone(&CLASS)
        }
    })
}

fn type_name(ty: &Type) -> Result<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
    .ok_or_else(|| {
        Error::new(ty.span(), "a peer cannot show this type: give it a name, `name = \"module.Class\"`")
    })
}

/// `Object::call_method`: takes the arguments and calls the function.
fn call_method(exposed: &[Exposed]) -> TokenStream {
    let arms = exposed.iter().filter(|one| one.kind == Kind::Method).map(|one| {
        let Exposed { name, cfg, .. } = one;
        let body = if one.is_async {
            quote! {
                ::std::result::Result::Err(::netref::Error::raise(
                    "RuntimeError",
                    ::std::concat!(#name, "() is asynchronous: it can be called over connections of netref::aio"),
                ))
            }
        } else {
            call(one, &quote! { self })
        };
        quote! {
            #(#cfg)*
            #name => { #body }
        }
    });
    quote! {
        fn call_method(&self, name: &str, args: ::netref::Args) -> ::netref::Result<::netref::Value> {
            match name {
                #(#arms)*
                _ => ::std::result::Result::Err(
                    ::netref::Error::no_attribute(::netref::Object::class(self).name(), name),
                ),
            }
        }
    }
}

/// `Object::start_method`: as [`call_method`], for the functions that are `async`; nothing if there are none.
fn start_method(exposed: &[Exposed]) -> TokenStream {
    let mut is_async = exposed.iter().filter(|one| one.is_async).peekable();
    if is_async.peek().is_none() {
        return TokenStream::new();
    }
    let arms = is_async.map(|one| {
        let Exposed { name, function, cfg, .. } = one;
        let body = call(one, &quote! { &*self });
        let future = quote_spanned! { function.span() => ::std::boxed::Box::pin(async move { #body }) };
        quote! {
            #(#cfg)*
            #name => ::std::result::Result::Ok(#future),
        }
    });
    quote! {
        fn start_method(
            self: ::std::sync::Arc<Self>,
            name: &str,
            args: ::netref::Args,
        ) -> ::netref::Result<::netref::MethodFuture, ::netref::Args> {
            match name {
                #(#arms)*
                _ => ::std::result::Result::Err(args),
            }
        }
    }
}

/// Takes the arguments out of `args`, calls the function of `this`, and makes what it returns the outcome.
fn call(one: &Exposed, this: &TokenStream) -> TokenStream {
    let Exposed { name, function, parameters, .. } = one;
    let takes_rest = parameters.last().is_some_and(|last| last.kind == ParameterKind::Rest);
    let finish = (!takes_rest).then(|| quote! { args.finish()?; });
    let (variables, extracts): (Vec<_>, Vec<_>) = parameters.iter().enumerate().map(extract).unzip();
    let extracts = quote! { #(#extracts)* #finish };
    let passed = parameters.iter().zip(&variables).map(|(parameter, variable)| match parameter.kind {
        ParameterKind::Borrowed => quote! { &#variable },
        _ => quote! { #variable },
    });
    let wait = one.is_async.then(|| quote_spanned! { function.span() => .await });
    let called = quote_spanned! { function.span() => Self::#function(#this #(, #passed)*) #wait };
    let outcome = outcome(&called, function);
    if one.is_async {
        return quote! {
            let (#(#variables,)*) = args.for_function(#name).take_async(|args| {
                #extracts
                ::std::result::Result::Ok((#(#variables,)*))
            }).await?;
            #outcome
        };
    }
    quote! {
        let mut args = args.for_function(#name);
        #extracts
        #outcome
    }
}

/// The variable for a parameter, and the statement that takes its argument.
fn extract((index, parameter): (usize, &Parameter)) -> (Ident, TokenStream) {
    let (name, ty) = (&parameter.name, &parameter.ty);
    let variable = format_ident!("arg{}", index, span = name.span());
    let public = LitStr::new(&parameter.public_name(), name.span());
    let taken = match parameter.kind {
        ParameterKind::Required => quote_spanned! { ty.span() => args.required::<#ty>(#public)? },
        ParameterKind::Optional => quote_spanned! { ty.span() => args.optional::<#ty>(#public)?.flatten() },
        ParameterKind::Borrowed => {
            let owned = owned(ty);
            quote_spanned! { ty.span() => args.required::<#owned>(#public)? }
        }
        ParameterKind::Rest => quote_spanned! { ty.span() => args.take_rest() },
    };
    let statement = quote! { let #variable = #taken; };
    (variable, statement)
}

/// What a borrowed argument is borrowed from.
fn owned(ty: &Type) -> TokenStream {
    let Type::Reference(reference) = ty else { return quote! { #ty } };
    match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => quote! { ::std::string::String },
        Type::Slice(slice) => {
            let item = &slice.elem;
            quote! { ::std::vec::Vec<#item> }
        }
        other => quote! { #other },
    }
}

fn outcome(call: &TokenStream, function: &Ident) -> TokenStream {
    quote_spanned! { function.span() => ::netref::IntoOutcome::into_outcome(#call) }
}

/// `Object::attributes`, `get_attr` and `set_attr`; nothing if there are no properties.
fn properties(exposed: &[Exposed]) -> TokenStream {
    let of_kind = |kind| exposed.iter().filter(move |one| one.kind == kind);
    let names = of_kind(Kind::Get).map(|Exposed { name, cfg, .. }| {
        quote! {
            #(#cfg)*
            names.push(::std::string::String::from(#name));
        }
    });
    let getters = of_kind(Kind::Get).map(|Exposed { name, function, cfg, .. }| {
        let read = outcome(&quote! { Self::#function(self) }, function);
        quote! {
            #(#cfg)*
            #name => #read,
        }
    });
    let setters = of_kind(Kind::Set).filter_map(|Exposed { name, function, parameters, cfg, .. }| {
        let (variable, extract) = extract((0, parameters.first()?));
        let assign = outcome(&quote! { Self::#function(self, #variable) }, function);
        Some(quote! {
            #(#cfg)*
            #name => {
                let mut args = ::netref::Args::new((value,)).for_function(#name);
                #extract
                #assign.map(::std::mem::drop)
            }
        })
    });
    let reading = of_kind(Kind::Get).next().is_some().then(|| {
        quote! {
            fn attributes(&self) -> ::std::vec::Vec<::std::string::String> {
                let mut names = ::std::vec::Vec::new();
                #(#names)*
                names
            }

            fn get_attr(&self, name: &str) -> ::netref::Result<::netref::Value> {
                match name {
                    #(#getters)*
                    _ => ::std::result::Result::Err(
                        ::netref::Error::no_attribute(::netref::Object::class(self).name(), name),
                    ),
                }
            }
        }
    });
    let writing = of_kind(Kind::Set).next().is_some().then(|| {
        quote! {
            fn set_attr(&self, name: &str, value: ::netref::Value) -> ::netref::Result<()> {
                match name {
                    #(#setters)*
                    _ => ::std::result::Result::Err(
                        ::netref::Error::read_only(::netref::Object::class(self).name(), name),
                    ),
                }
            }
        }
    });
    quote! { #reading #writing }
}

/// `Object::repr` or `Object::str`, if the block has it.
fn text(exposed: &[Exposed], name: &str, method: &str) -> TokenStream {
    let method = format_ident!("{method}");
    let text = exposed.iter().filter(|one| one.is_text() && one.name.value() == name);
    let text = text.map(|Exposed { function, cfg, .. }| {
        let shown = quote_spanned! { function.span() => ::std::string::String::from(Self::#function(self)) };
        quote! {
            #(#cfg)*
            fn #method(&self) -> ::std::string::String {
                #shown
            }
        }
    });
    quote! { #(#text)* }
}

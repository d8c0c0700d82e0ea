#![doc = include_str!("../../health-core/RECIPES.md")]

//! A data set that is read once: for its report, its splits and the folds of a cross-validation.

use crate::features::Columns;
use crate::load::{Plan, check_seen, feature_columns, fit};
use crate::{
    Column, CrossValidationConfig, DataConfig, Error, FeaturesConfig, Fold, Part, Preprocessor, Result, Splits, Table,
    folds, info, read_table, split,
};

/// A data set that was read, extended by engineered columns, and split.
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) data: DataConfig,
    features: FeaturesConfig,
    seed: u64,
    pub(crate) table: Table,
    /// Engineered columns.
    made: Vec<Column>,
    pub(crate) plan: Plan,
    /// Fitted on the train part of `plan`.
    pub(crate) preprocessor: Preprocessor,
    pub(crate) warnings: Vec<String>,
}

impl Source {
    /// Reads and types the columns, computes the engineered ones, splits the rows, and fits the encoding on the train rows.
    pub fn open(data: &DataConfig, features: &FeaturesConfig, seed: u64) -> Result<Self> {
        features.check()?;
        let seed = data.split.seed.unwrap_or(seed);
        let table = read_table(data)?;
        let files = table.files().to_vec();
        Self::of_table(table, data, features, seed).map_err(|error| error.located(&files))
    }

    /// For more training of a model on other rows: columns and target are encoded by what the model's own train rows
    /// said. Errors if the data lacks a column of the model, or has a class that the model does not know.
    pub fn open_for(data: &DataConfig, model: &Preprocessor, seed: u64) -> Result<Self> {
        let seed = data.split.seed.unwrap_or(seed);
        let table = read_table(data)?;
        let files = table.files().to_vec();
        Self::of_model(table, data, model, seed).map_err(|error| error.located(&files))
    }

    fn of_model(table: Table, data: &DataConfig, model: &Preprocessor, seed: u64) -> Result<Self> {
        let plan = Plan::new(&table, data, Some(&model.target), seed)?;
        for column in &model.raw {
            table.column(&column.name, "the model that is trained on")?;
        }
        let features = FeaturesConfig {
            engineer: model.engineer.clone(),
            categorical: model.categorical,
            ..FeaturesConfig::default()
        };
        let made = features.engineer.apply(&table)?;
        let (data, preprocessor, warnings) = (data.clone(), model.clone(), Vec::new());
        Ok(Self { data, features, seed, table, made, plan, preprocessor, warnings })
    }

    fn of_table(table: Table, data: &DataConfig, features: &FeaturesConfig, seed: u64) -> Result<Self> {
        let plan = Plan::new(&table, data, None, seed)?;
        let mut taken = vec![(data.target.as_str(), "target")];
        taken.extend(data.split.column.as_deref().map(|name| (name, "split column")));
        features.engineer.check_sources(&taken)?;
        let made = features.engineer.apply(&table)?;
        let columns = Columns { table: &table, made: &made };
        columns.check_names()?;
        data.types.keys().try_for_each(|name| columns.column(name, "`data.types`").map(|_| ()))?;
        let mut warnings = Vec::new();
        let preprocessor = fit(columns, data, features, &plan, &plan.rows[0], &mut warnings)?;
        let (data, features) = (data.clone(), features.clone());
        Ok(Self { data, features, seed, table, made, plan, preprocessor, warnings })
    }

    /// The encoded parts of `data.split`. The table is taken down on the way, so that both need not be in memory.
    pub fn splits(self) -> Result<Splits> {
        self.encode(true)
    }

    /// As [`Self::splits`] for a search, which must not know the test rows: that part is empty.
    pub fn train_and_valid(self) -> Result<Splits> {
        self.encode(false)
    }

    fn encode(self, with_test: bool) -> Result<Splits> {
        let [mut train, mut valid, mut test] = self.parts(&self.plan.rows);
        let Self { data, table, made, plan, preprocessor, warnings, .. } = self;
        let files = table.files().to_vec();
        let info = info::describe(&data, &table, [&train, &valid, &test], &preprocessor, plan.problem_reason, warnings);
        if !with_test {
            test = Part::empty(Vec::new(), Vec::new());
        }
        let test_table = table.select(&test.row_numbers);
        preprocessor
            .encode_all(table, made, &mut [&mut train, &mut valid, &mut test])
            .map_err(|error| error.located(&files))?;
        Ok(Splits { train, valid, test, test_table, preprocessor, info })
    }

    /// The trainings of a cross-validation of all rows but the test part: the folds of each repeat, one after the other.
    pub fn folds(&self, config: &CrossValidationConfig) -> Result<Vec<Fold>> {
        config.check()?;
        let Plan { target, targets, rows: [train, valid, test], .. } = &self.plan;
        let mut rows = [train.as_slice(), valid].concat();
        rows.sort_unstable();
        let is_stratified = config.stratify && !target.labels().is_empty();
        let class = |&row: &u32| targets[row as usize] as u32;
        let classes: Vec<u32> = if is_stratified { rows.iter().map(class).collect() } else { Vec::new() };
        let groups = match (&config.group, &self.data.split.group) {
            (Some(name), _) => self.groups(name, "`cv.group`", &rows)?,
            (None, Some(name)) => self.groups(name, "`data.split.group`", &rows)?,
            (None, None) => Vec::new(),
        };
        let members = folds::Members { rows: &rows, classes: &classes, groups: &groups };
        let group = config.group.as_deref().or(self.data.split.group.as_deref());
        folds::check_enough(&members, target.labels(), config, group, self.table.origin())?;
        let folds = folds::deal(&members, config, self.seed);
        for fold in &folds {
            check_seen(&self.table, target, targets, [&fold.train, &fold.valid, test])?;
        }
        Ok(folds)
    }

    /// The encoded rows of a fold, with everything fitted on its own train rows. The test part is empty: folds compare
    /// settings.
    pub fn fold(&self, fold: &Fold) -> Result<Splits> {
        let rows = [fold.train.clone(), fold.valid.clone(), self.plan.rows[2].clone()];
        let columns = Columns { table: &self.table, made: &self.made };
        let mut warnings = Vec::new();
        let preprocessor = fit(columns, &self.data, &self.features, &self.plan, &fold.train, &mut warnings)?;
        let [train, valid, test] = self.parts(&rows);
        let reason = self.plan.problem_reason.clone();
        let parts = [&train, &valid, &test];
        let info = info::describe(&self.data, &self.table, parts, &preprocessor, reason, warnings);
        let (test, test_table) = (Part::empty(Vec::new(), Vec::new()), self.table.select(&[]));
        let encode = |part: Part| -> Result<Part> {
            let encoded = preprocessor.encode(columns, part.row_numbers);
            Ok(Part { target: part.target, ..encoded.map_err(|error| error.located(self.table.files()))? })
        };
        let (train, valid) = (encode(train)?, encode(valid)?);
        Ok(Splits { train, valid, test, test_table, preprocessor, info })
    }

    /// Parts with targets that are not encoded yet.
    pub(crate) fn parts(&self, rows: &split::Rows) -> [Part; 3] {
        [0, 1, 2].map(|part| {
            let target = rows[part].iter().map(|&row| self.plan.targets[row as usize]).collect();
            Part::empty(rows[part].clone(), target)
        })
    }

    /// The number of each row's group. An error if the test part shares a group with `rows`.
    fn groups(&self, name: &str, wanted_by: &'static str, rows: &[u32]) -> Result<Vec<u32>> {
        let column = self.table.column(name, wanted_by)?;
        if name == self.data.target {
            return Err(Error::ColumnRole { column: name.to_string(), role: "target", wanted_by });
        }
        if feature_columns(&self.table, &self.data)?.iter().any(|feature| feature.name == name) {
            return Err(Error::GroupIsFeature { column: name.to_string(), wanted_by });
        }
        let groups = split::group_numbers(column);
        let n_groups = groups.iter().max().map_or(0, |&last| last as usize + 1);
        let mut is_here = vec![false; n_groups];
        rows.iter().for_each(|&row| is_here[groups[row as usize] as usize] = true);
        match self.plan.rows[2].iter().find(|&&row| is_here[groups[row as usize] as usize]) {
            None => Ok(rows.iter().map(|&row| groups[row as usize]).collect()),
            Some(&row) => {
                let group = column.text(row as usize).unwrap_or_default().into_owned();
                Err(Error::GroupInTest { file: self.table.origin().to_string(), column: name.to_string(), group })
            }
        }
    }
}

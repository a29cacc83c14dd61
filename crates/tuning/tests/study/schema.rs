//! The tables are those that Optuna makes.

use crate::{Base, python, settings};
use tuning::{Error, Study};

const MAKE: &str = "import sys, optuna; optuna.create_study(storage=sys.argv[1], study_name='a')";

fn statements(base: &Base) -> Vec<String> {
    let db = rusqlite::Connection::open(base.file.as_ref().unwrap()).unwrap();
    let mut found = db.prepare("SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name").unwrap();
    let rows = found.query_map([], |row| row.get::<_, String>(0)).unwrap();
    // Only the space between the words may differ.
    rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")"))
        .collect()
}

#[test]
fn a_file_has_the_tables_of_optuna() {
    let (own, optuna) = (Base::sqlite(), Base::sqlite());
    Study::create(&own.url, settings("a", 1)).unwrap();
    std::fs::create_dir(optuna.file.as_ref().unwrap().parent().unwrap()).unwrap();
    if python::run(MAKE, &[&optuna.url]).is_none() {
        return;
    }
    assert_eq!(statements(&own), statements(&optuna));
    assert_eq!(statements(&own).len(), 25);
}

/// Columns, indices, constraints and enums.
const CATALOGUE: &str = "
    SELECT concat_ws(' ', table_name, ordinal_position, column_name, udt_name, column_default, is_nullable,
        character_maximum_length) FROM information_schema.columns WHERE table_schema = 'public'
    UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION SELECT concat_ws(' ', typname, enumsortorder, enumlabel) FROM pg_enum JOIN pg_type t ON t.oid = enumtypid
    ORDER BY 1";

fn catalogue(base: &Base) -> Vec<String> {
    let mut client = postgres::Client::connect(&base.url, postgres::NoTls).unwrap();
    client.query(CATALOGUE, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_server_has_the_tables_of_optuna() {
    let (Some(own), Some(optuna)) = (Base::postgres(), Base::postgres()) else { return };
    Study::create(&own.url, settings("a", 1)).unwrap();
    if python::run(MAKE, &[&optuna.url]).is_none() {
        return;
    }
    assert_eq!(catalogue(&own), catalogue(&optuna));
    assert_eq!(catalogue(&own).len(), 122);
}

#[test]
fn other_tables_are_refused() {
    for base in Base::all() {
        Study::create(&base.url, settings("a", 1)).unwrap();
        for (version, part) in [("v9.0.0.a", "does not know"), ("v2.6.0.a", "older"), ("x", "does not know")] {
            base.sql(&format!("UPDATE alembic_version SET version_num = '{version}'"));
            let error = Study::create(&base.url, settings("b", 1)).err().unwrap();
            assert!(matches!(error, Error::Schema(_)) && error.to_string().contains(part), "{error}");
        }
        base.sql("DROP TABLE alembic_version");
        assert!(matches!(Study::names(&base.url), Err(Error::Schema(_))));
    }
    for base in Base::all() {
        Study::create(&base.url, settings("a", 1)).unwrap();
        base.sql("ALTER TABLE studies RENAME TO others; UPDATE alembic_version SET version_num = 'x'");
        let error = Study::names(&base.url).err().unwrap();
        assert!(error.to_string().contains("another program"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let base = Base::sqlite();
    let file = base.file.as_ref().unwrap();
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(file, "no database, but a text of some length, for short ones are taken for empty").unwrap();
    let error = Study::create(&base.url, settings("a", 1)).err().unwrap();
    assert!(matches!(error, Error::Database { .. }) && error.to_string().contains("not a database"), "{error}");
}

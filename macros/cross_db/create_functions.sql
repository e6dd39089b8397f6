{#-
  At the start of a run: the functions that macros of this folder call, where an engine cannot say in an expression what
  they do. Only PostgreSQL needs any: it has no try_cast, and up to version 15 cannot be asked whether a text can be cast. They are in the schema of the target, in which there is nothing else.

  try_timestamp(text)   text as ISO 8601 has it, or with a space or slashes, as DuckDB takes it, but for zones by name.
                        Without an offset it is UTC.
  try_decimal(text, precision, scale), try_integer(text)
                        digits with a point and an exponent; null where they do not fit. Rounded half away from zero.
  json_text(text, text[])
                        what lies at the path; null where the text is no JSON
-#}
{% macro create_functions() %}{{ return(adapter.dispatch('create_functions', 'user_segments')()) }}{% endmacro %}

{% macro default__create_functions() %}{% endmacro %}

{% macro postgres__create_functions() %}
    {%- set own = target.schema %}
    create schema if not exists {{ own }};

    create or replace function {{ own }}.try_timestamp(value timestamp) returns timestamp
    language sql immutable parallel safe as $$
        select case
            when value between timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999' then value
        end
    $$;

    create or replace function {{ own }}.try_timestamp(value timestamptz) returns timestamp
    language sql immutable parallel safe as $$ select {{ own }}.try_timestamp(value at time zone 'UTC') $$;

    create or replace function {{ own }}.try_timestamp(value date) returns timestamp
    language sql immutable parallel safe as $$ select {{ own }}.try_timestamp(cast(value as timestamp)) $$;

    -- It looks before it casts, and has no error to catch: with one no query that calls it could run in parallel.
    create or replace function {{ own }}.try_timestamp(value text) returns timestamp
    language plpgsql immutable strict parallel safe as $$
    declare
        part text[];
        year integer;
        month integer;
        day integer;
        hour integer;
        minute integer;
        second decimal;
        ahead interval;
        last_day integer;
    begin
        -- What nearly all times look like, seen at a glance: nothing of it is captured, which would take ten times as
        -- long. February ends on the 28th here.
        if
            value not like '0000%'
            and value ~ (
                '^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])'
                || '|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))'
                || '(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z?)?$'
            )
        then
            return cast(rtrim(value, 'Z') as timestamp);
        end if;
        -- Year, separator, month, separator, day; hour, minute, second; sign, hours, minutes and seconds of the offset.
        part := regexp_match(
            value,
            '^\s*([0-9]{1,9})([-/\\])([0-9]{1,2})([-/\\])([0-9]{1,2})'
            || '(?:(?:T|\s)\s*([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}(?:\.[0-9]{0,6})?)[0-9]*)?'
            || '(?:Z|\s*UTC|([-+])([0-9]{2})(?::?([0-9]{2})(?::([0-9]{2}))?)?)?)?\s*$'
        );
        if part is null or part[2] <> part[4] then
            return null;
        end if;
        year := part[1];
        month := part[3];
        day := part[5];
        hour := coalesce(part[6], '0');
        minute := coalesce(part[7], '0');
        second := coalesce(part[8], '0');
        last_day := case
            when month = 2 and year % 4 = 0 and (year % 100 <> 0 or year % 400 = 0) then 29
            when month = 2 then 28
            when month in (4, 6, 9, 11) then 30
            else 31
        end;
        if
            year not between 1 and 9999
            or month not between 1 and 12
            or day not between 1 and last_day
            or hour > 24
            or minute > 59
            or second >= 60
            or (hour = 24 and (minute > 0 or second > 0))
        then
            return null;
        end if;
        ahead := make_interval(
            hours => cast(part[9] || part[10] as integer),
            mins => cast(part[9] || coalesce(part[11], '0') as integer),
            secs => cast(part[9] || coalesce(part[12], '0') as integer)
        );
        return {{ own }}.try_timestamp(
            make_date(year, month, day) + make_interval(hours => hour, mins => minute, secs => second)
            - coalesce(ahead, interval '0')
        );
    end
    $$;

    create or replace function {{ own }}.try_decimal(value text, digits integer, scale integer) returns decimal
    language plpgsql immutable strict parallel safe as $$
    declare
        number decimal;
    begin
        if value !~ '^\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?0*[0-9]{1,3})?\s*$' then
            return null;
        end if;
        number := round(cast(value as decimal), scale);
        if abs(number) >= cast('1e' || (digits - scale) as decimal) then
            return null;
        end if;
        return number;
    end
    $$;

    create or replace function {{ own }}.try_integer(value text) returns integer
    language plpgsql immutable strict parallel safe as $$
    declare
        number decimal := {{ own }}.try_decimal(value, 18, 0);
    begin
        if number between -2147483648 and 2147483647 then
            return number;
        end if;
        return null;
    end
    $$;

    -- Not for queries in parallel: one that catches errors must not run there.
    create or replace function {{ own }}.json_text(value text, path text[]) returns text
    language plpgsql immutable as $$
    begin
        return cast(value as json) #>> path;
    exception
        when data_exception then
            return null;
    end
    $$;
{% endmacro %}

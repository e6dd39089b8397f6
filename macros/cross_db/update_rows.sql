{#-
  Gives columns other values, as a mapping of names to expressions, in the rows for which a condition is true. DuckDB
  and PostgreSQL have a statement for it, Spark on Parquet writes the table again (delete_rows.sql says why).
-#}
{% macro update_rows(relation, values, condition) %}{{ return(adapter.dispatch('update_rows', 'user_segments')(relation, values, condition)) }}{% endmacro %}

{% macro default__update_rows(relation, values, condition) -%}
    update {{ relation }} set
    {%- for name, value in values.items() %} {{ name }} = {{ value }}{{ ',' if not loop.last }}{% endfor %}
    where {{ condition }}
{%- endmacro %}

{% macro spark__update_rows(relation, values, condition) -%}
    {%- if execute and run_query('select 1 as one from ' ~ relation ~ ' where ' ~ condition ~ ' limit 1').rows -%}
        {%- set columns = [] -%}
        {%- for name, type in described(relation).columns.items() -%}
            {%- if name in values -%}
                {%- do columns.append(
                    'cast(case when ' ~ condition ~ ' then ' ~ values[name] ~ ' else ' ~ name ~ ' end as ' ~ type
                    ~ ') as ' ~ name
                ) -%}
            {%- else -%}
                {%- do columns.append(name) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do replace_rows(relation, 'select ' ~ columns | join(', ') ~ ' from ' ~ relation) -%}
    {%- endif -%}
{%- endmacro %}

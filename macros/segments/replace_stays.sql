{#-
  The incremental strategy of fct_segment_membership_history: all stays of the keys that the model gives are replaced by
  those that it gives. A key that has none any more is given with a null valid_from.

  Not delete+insert of dbt, which would insert that row, too. One transaction, as there.
-#}
{% macro get_incremental_replace_stays_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where ({{ arg_dict['unique_key'] | join(', ') }}) in (
        select {{ arg_dict['unique_key'] | join(', ') }}
        from {{ arg_dict['temp_relation'] }}
    );
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
    where valid_from is not null
{% endmacro %}
